"""Which queues an alert is about, and which deployment it starts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deployments.receiver import brokers
from deployments.receiver.payload import FiringOrResolved, line
from deployments.receiver.starting import Order
from dlq.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Choice:
    """The queues of an alert; `problem` says why there can be none."""

    queues: tuple[str, ...] = ()
    problem: str = ""


async def choose(settings: Settings, alerts: Iterable[FiringOrResolved]) -> list[Choice]:
    """Choose for each alert: its label `queue`, else its rule's queue, else every queue over its threshold.

    A resolved alert without a queue of its own may have been about any of them.
    """
    over: tuple[str, ...] | None = None
    choices = []
    for alert in alerts:
        said = alert.labels.get("queue") or settings.alert_rule(alert.name).queue
        if said is not None and said not in settings.queues:
            known = ", ".join(settings.queues)
            choices.append(Choice(problem=f"{alert.name}: there is no queue {line(said, 100)}; known: {known}."))
        elif said is not None:
            choices.append(Choice((said,)))
        elif alert.status == "resolved":
            choices.append(Choice(tuple(settings.queues)))
        else:
            over = over if over is not None else await brokers.over_threshold(settings, settings.queues)
            choices.append(Choice(over))
    return choices


def order(settings: Settings, alert: FiringOrResolved, queue: str) -> Order:
    """Say which run an alert starts on a queue."""
    rule = settings.alert_rule(alert.name)
    about = alert.about(queue)
    parameters: dict[str, Any] = {
        "reason": f"alert {about}"[:1_000],
        **rule.parameters,
        "queue": queue,
        "alert": about.model_dump(mode="json"),
    }
    name = f"{queue}-{datetime.now(UTC):%Y-%m-%d-%H%M}"
    return Order(rule.deployment, alert.key(queue), name, parameters, ("alert", alert.name))
