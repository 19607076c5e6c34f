"""The alerts of one post, sorted by queue: the firing ones first, then the resolved ones."""

from collections.abc import Sequence

from deployments.receiver import resolved
from deployments.receiver.answers import NotNowError
from deployments.receiver.choosing import choose
from deployments.receiver.firing import Firing
from deployments.receiver.outcomes import Outcome, Result
from deployments.receiver.payload import FiringOrResolved
from deployments.receiver.tools import LOG, Receiver
from dlq.errors import PrefectUnreachableError


async def take_in(receiver: Receiver, alerts: Sequence[FiringOrResolved]) -> list[Result]:
    """Do what the alerts ask for; NotNowError when it could not all be done durably and should be sent again."""
    results: list[Result] = []
    by_queue: dict[str, list[FiringOrResolved]] = {}
    for alert, choice in zip(alerts, await choose(receiver.settings, alerts), strict=True):
        for queue in choice.queues:
            by_queue.setdefault(queue, []).append(alert)
        if choice.problem:
            results.append(Result(alert, "", Outcome.NO_QUEUE, note=choice.problem))
        elif not choice.queues:
            results.append(Result(alert, "", Outcome.UNMAPPED))
    try:
        for queue, some in by_queue.items():
            results += await _on_queue(receiver, queue, some)
    except PrefectUnreachableError as exc:
        raise NotNowError(str(exc)) from exc
    order = {id(alert): place for place, alert in enumerate(alerts)}
    results.sort(key=lambda result: order[id(result.alert)])
    for result in results:
        receiver.counters.alerts.labels(result.outcome.value).inc()
        if result.outcome in {Outcome.UNMAPPED, Outcome.NO_QUEUE, Outcome.REFUSED}:
            LOG.warning("%s: %s %s", result.alert.name, result.outcome, result.note)
    return results


async def _on_queue(receiver: Receiver, queue: str, alerts: Sequence[FiringOrResolved]) -> list[Result]:
    firing = {alert.key(queue): alert for alert in alerts if alert.status == "firing"}
    gone = {alert.key(queue): alert for alert in alerts if alert.status == "resolved"}
    results: list[Result] = []
    if firing:
        with receiver.firing(queue):
            results += await Firing(receiver, queue, firing).take_in()
    if gone:
        async with receiver.resolved(queue):
            results += await resolved.take_in(receiver, queue, gone)
    return results
