"""Whether there are consumers, and whether they work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dlq.admission.preflight.findings import Check, Result
from dlq.brokers.base import Place
from dlq.config.policy_table import CheckName

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import DeadLetterQueue
    from dlq.brokers.server import Taker

_STEP: Final = 0.25  # seconds between two looks at the live queue
_LONG: Final = 60.0  # seconds: a client that has taken nothing for longer may be at work, or hang


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of a live queue in some seconds. Depths are messages; `moved`: something was taken from it."""

    before: int
    after: int
    seconds: float
    moved: bool


def watch_live(queue: DeadLetterQueue, seconds: float, sleep: Callable[[float], None]) -> Watched:
    """Look at the live queue until something is taken from it, `seconds` at most; an empty one at once."""
    before = after = queue.depth(Place.LIVE)
    oldest = queue.read(Place.LIVE, 0, 1).result()
    spent = 0.0
    while after and spent < seconds:
        sleep(_STEP)
        spent += _STEP
        after = queue.depth(Place.LIVE)
        if after < before or queue.read(Place.LIVE, 0, 1).result() != oldest:
            return Watched(before, after, spent, moved=True)
    return Watched(before, after, spent, moved=False)


def check_consumers(watched: Watched, takers: list[Taker] | None) -> Check:
    """Judge by what is taken from the live queue and, while it is empty, by who waits; None: the broker won't say."""
    if watched.moved:
        seen = f"the live queue went from {watched.before:,} to {watched.after:,} in {watched.seconds:g} s"
        return _check(Result.PASS, seen)
    if watched.before:
        stuck = f"{watched.before:,} in the live queue, and nobody took one in {watched.seconds:g} s"
        return _check(Result.FAIL, stuck)
    if takers is None:
        return _check(Result.UNKNOWN, "the live queue is empty, and the broker does not say who waits")
    waiting = [taker for taker in takers if taker.waits]
    if waiting:
        return _check(Result.PASS, f"clients that wait for messages: {len(waiting)} ({_names(waiting)})")
    polling = [taker for taker in takers if taker.idle <= _LONG]
    if polling:
        return _check(Result.PASS, f"{len(polling)} clients took from a queue in the last minute ({_names(polling)})")
    if takers:
        idle = min(taker.idle for taker in takers)
        return _check(Result.UNKNOWN, f"the last of {len(takers)} clients that take messages did so {idle:.0f} s ago")
    return _check(Result.FAIL, "no client of the broker waits for messages or has taken one")


def check_live(depth: int, ceiling: int) -> Check:
    """Compare the live queue with its ceiling."""
    result = Result.PASS if depth < ceiling else Result.FAIL
    return Check(CheckName.LIVE_QUEUE, result, f"{depth:,} in the live queue; its ceiling is {ceiling:,}")


def _check(result: Result, evidence: str) -> Check:
    return Check(CheckName.CONSUMERS, result, evidence)


def _names(takers: list[Taker]) -> str:
    shown = ", ".join(taker.name for taker in takers[:3])
    return shown if len(takers) <= 3 else f"{shown} …"  # noqa: PLR2004 - as many as are shown
