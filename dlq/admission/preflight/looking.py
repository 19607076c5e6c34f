"""The pre-flight: look at everything that can be looked at, change nothing, and judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from dlq.admission.preflight import systems
from dlq.admission.preflight.consumers import check_consumers, check_live, watch_live
from dlq.admission.preflight.findings import Check, Preflight, Result
from dlq.admission.preflight.outside import Said, check_fix, check_health
from dlq.admission.preflight.room import check_memory, need
from dlq.brokers.base import Place
from dlq.brokers.opening import open_server
from dlq.config.policy_table import CheckName, Rule
from dlq.errors import DlqError
from dlq.messages.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig, Settings

T = TypeVar("T")

_NEWEST: Final = 100  # messages at the producer's end among which the newest failure is looked for

_GLANCE: Final = 1.0  # seconds: a person who only gets a warning does not wait long for it


@dataclass(frozen=True, slots=True)
class Ask:
    """What a pre-flight is for. `selected`: messages at most; None: all that are there."""

    selected: int | None = None
    keeps_originals: bool = False
    watched: bool = True
    newest_failure: datetime | None = None
    fixed: str = ""
    drains: bool = True
    """False: nothing goes to consumers, so only the broker's memory is looked at."""


def preflight(
    settings: Settings, queue: DeadLetterQueue, config: QueueConfig, ask: Ask, sleep: Callable[[float], None]
) -> Preflight:
    """Look before anything moves. What cannot be found out is unknown, and never stops the looking."""
    policy = settings.policy_of(config.name)
    groups: dict[CheckName, Callable[[], Check]] = {
        CheckName.CONSUMERS: lambda: _consumers(settings, queue, config, ask, sleep),
        CheckName.HEALTH: lambda: check_health(systems.health(settings)),
        CheckName.LIVE_QUEUE: lambda: check_live(queue.depth(Place.LIVE), config.loop.live_ceiling),
        CheckName.SUCCESS_RATE: lambda: systems.success(settings, config.name, policy.success_falls),
        CheckName.FIX: lambda: _fix(settings, queue, config, ask),
        CheckName.MEMORY: lambda: _memory(settings, queue, config, ask),
    }
    asked = groups if ask.drains else (CheckName.MEMORY,)
    wanted = [name for name in asked if policy.rule(name, watched=ask.watched) is not Rule.OFF]
    checks = [_looked(name, groups[name]) for name in wanted]
    return Preflight.judge(config.name, datetime.now(UTC), checks, policy, watched=ask.watched)


def _looked(name: CheckName, look: Callable[[], Check]) -> Check:
    """Do a check; what the broker does not answer is unknown."""
    try:
        return look()
    except DlqError as exc:
        return Check(name, Result.UNKNOWN, str(exc))


def newest_failure(queue: DeadLetterQueue, config: QueueConfig) -> datetime | None:
    """Look at the messages at the producer's end for the newest failure; None when none of them says when it failed."""
    read = Reading.of(config).reader.read
    seen = [read(message).failed_at for message in queue.read_newest(Place.DLQ, 0, _NEWEST).result()]
    moments = [moment for moment in seen if moment is not None]
    return datetime.fromtimestamp(max(moments), UTC) if moments else None


def _consumers(
    settings: Settings, queue: DeadLetterQueue, config: QueueConfig, ask: Ask, sleep: Callable[[float], None]
) -> Check:
    seconds = settings.policy_of(config.name).look.total_seconds()
    if not ask.watched:
        seconds = min(seconds, _GLANCE)
    watched = watch_live(queue, seconds, sleep)
    with open_server(settings, config.name) as server:
        found = check_consumers(watched, _or_none(server.takers) if not watched.before else [])
    try:
        ready = systems.ready_workers(settings, config)
    except DlqError as exc:  # what Kubernetes does not tell takes nothing from what the broker showed
        ready = Said(None, str(exc))
    if ready.well is None:
        return found
    result = Result.FAIL if not ready.well else found.result
    return Check(found.name, result, f"{found.evidence}; {ready.words}")


def _fix(settings: Settings, queue: DeadLetterQueue, config: QueueConfig, ask: Ask) -> Check:
    newest = ask.newest_failure or newest_failure(queue, config)
    return check_fix(newest, [] if ask.fixed else systems.changes(settings, config), ask.fixed)


def _memory(settings: Settings, queue: DeadLetterQueue, config: QueueConfig, ask: Ask) -> Check:
    depth = queue.depth(Place.DLQ)
    selected = depth if ask.selected is None else min(depth, ask.selected)
    with open_server(settings, config.name) as server:
        return check_memory(_or_none(server.memory), need(queue, selected, keeps_originals=ask.keeps_originals))


def _or_none(ask: Callable[[], T]) -> T | None:
    """Ask the broker about itself; one that may not say (a managed Redis, an ACL) leaves it unknown."""
    try:
        return ask()
    except DlqError:
        return None
