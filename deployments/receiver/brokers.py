"""Looks at the queues themselves, in a thread and bounded in time: a broker that hangs makes no request hang."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from deployments.receiver.answers import NotNowError
from dlq.brokers.base import DeadLetterQueue, Place
from dlq.brokers.opening import open_queue
from dlq.config.settings import Settings
from dlq.errors import DlqError

T = TypeVar("T")

PATIENCE = 8.0
"""Seconds for a look."""


async def over_threshold(settings: Settings, queues: Iterable[str]) -> tuple[str, ...]:
    """Name those of the queues whose DLQ is deeper than its warning threshold."""
    names = list(queues)
    depths = await asyncio.gather(*(_look(settings, name, lambda broker: broker.depth(Place.DLQ)) for name in names))
    pairs = zip(names, depths, strict=True)
    return tuple(name for name, depth in pairs if depth > settings.queues[name].thresholds.depth_warn)


async def holder(settings: Settings, queue: str) -> str:
    """Name the run that holds a queue; an empty text: none does."""
    held = await _look(settings, queue, lambda broker: broker.holder())
    return (held or "").partition(" of ")[0]


async def answers(settings: Settings, queue: str, patience: float) -> str:
    """Say why a queue's broker does not answer; an empty text: it does."""
    try:
        await _look(settings, queue, lambda broker: broker.depth(Place.DLQ), patience)
    except NotNowError as exc:
        return str(exc)
    return ""


async def _look(settings: Settings, queue: str, look: Callable[[DeadLetterQueue], T], patience: float = PATIENCE) -> T:
    def opened() -> T:
        with open_queue(settings, queue) as (broker, _):
            return look(broker)

    try:
        async with asyncio.timeout(patience):
            return await asyncio.to_thread(opened)
    except TimeoutError as exc:
        raise NotNowError(f"queue {queue}: the broker did not answer within {patience:g} s.") from exc
    except DlqError as exc:
        raise NotNowError(str(exc)) from exc
