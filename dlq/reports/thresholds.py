"""Thresholds proposed from a week of data: when the present one fired, when another would have, and which to take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

LASTING = timedelta(minutes=5)
"""How long a value must be over its threshold, as the alert rules say (`for: 5m`)."""
_GAP = timedelta(minutes=30)  # a hole in the data ends an episode
_LEAST = timedelta(days=3)
_ORDINARY = 0.95  # of the time outside of incidents
_ROOM = 1.5  # how far above the ordinary a threshold should stand
_NOISE = 3  # alerts a week that nobody acted on
_SAME = 1.25  # a proposal this near to the present threshold is no proposal
_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5)  # times a power of ten: numbers that people set

Points: TypeAlias = "Sequence[tuple[datetime, float]]"
Spans: TypeAlias = "Sequence[tuple[datetime, datetime]]"


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which a value was over a threshold for long enough to fire an alert."""

    began: datetime
    ended: datetime
    peak: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one threshold; `proposed` is None where the present one should stay, `reason` says why."""

    name: str
    present: int
    proposed: int | None
    fired: tuple[Episode, ...]
    """When the present threshold fired in the week, or would have."""
    would_fire: tuple[Episode, ...]
    """When the proposed one would have fired."""
    reason: str


def episodes(points: Points, threshold: float, lasting: timedelta = LASTING) -> tuple[Episode, ...]:
    """Find when a value stayed over a threshold for `lasting` or longer; points are in the order of time."""
    found: list[Episode] = []
    above: list[tuple[datetime, float]] = []

    def close() -> None:
        if above and above[-1][0] - above[0][0] >= lasting:
            found.append(Episode(above[0][0], above[-1][0], max(value for _, value in above)))
        above.clear()

    for at, value in points:
        if value <= threshold or (above and at - above[-1][0] > _GAP):
            close()
        if value > threshold:
            above.append((at, value))
    close()
    return tuple(found)


def propose(name: str, points: Points, present: int, incidents: Spans, least: int) -> Proposal:
    """Propose a threshold that stands clear of ordinary days and still fires for each incident.

    `incidents` are the spans in which people or alerts had a run going; `least` is the lowest threshold that makes
    sense. The value's ordinary height is what it did not exceed in 95 % of the time outside of incidents.
    """
    fired = episodes(points, present)
    covered = points[-1][0] - points[0][0] if points else timedelta(0)
    if covered < _LEAST:
        why = f"too little data: {covered / timedelta(days=1):.1f} days, {_LEAST.days} are needed"
        return Proposal(name, present, None, fired, (), why)
    quiet = [value for at, value in points if not any(began <= at <= ended for began, ended in incidents)]
    if not quiet:
        return Proposal(name, present, None, fired, (), "the whole week was an incident")
    ordinary = float(np.quantile(np.array(quiet), _ORDINARY))
    peaks = [peak for span in incidents if (peak := _peak(points, span)) > _ROOM * ordinary]
    facts = f"outside of incidents it was at most {ordinary:,.0f} in 95 % of the time"
    if peaks:
        facts += f"; the smallest of {_count(len(peaks), 'incident')} reached {min(peaks):,.0f}"
    proposed, why = _better(points, present, fired, incidents, max(least, _ROOM * ordinary), peaks)
    if not ordinary and not peaks:
        proposed, why = None, "there is nothing to propose from"
    would_fire = episodes(points, proposed) if proposed is not None else ()
    return Proposal(name, present, proposed, fired, would_fire, f"{facts}; {why}")


def _better(
    points: Points, present: int, fired: Sequence[Episode], incidents: Spans, wanted: float, peaks: Sequence[float]
) -> tuple[int | None, str]:
    """Give a better threshold, None for none, and why: higher for one that cries wolf, lower for one that sleeps."""
    idle = [episode for episode in fired if not any(_meets(episode, span) for span in incidents)]
    if len(idle) >= _NOISE and 2 * len(idle) > len(fired) and wanted > present * _SAME:
        return nice(wanted), f"the present one fired {_count(len(idle), 'time')} without a run that followed"
    proposed = nice(max(wanted, min(present, 0.5 * min(peaks))) if peaks else wanted)
    while proposed * _SAME < present and len(episodes(points, proposed)) > _NOISE:
        proposed = nice(proposed * 1.01)
    if proposed * _SAME < present:
        return proposed, "the present one stands so high above them that trouble is seen late, or not at all"
    return None, "the present one stands"


def _meets(episode: Episode, span: tuple[datetime, datetime]) -> bool:
    """Say whether a run was going on in the episode or in the hour after it."""
    return span[0] <= episode.ended + timedelta(hours=1) and span[1] >= episode.began


def nice(value: float) -> int:
    """Round up to a number that people set: 1, 1.5, 2, 3, 5 or 7.5 times a power of ten."""
    scale = 10.0 ** math.floor(math.log10(max(1.0, value)))
    return next(round(step * scale) for step in (*_STEPS, 10.0) if round(step * scale) >= value)


def told(found: Sequence[Episode]) -> str:
    """Say how often a threshold fired, and how long in all."""
    if not found:
        return "never"
    whole = sum((episode.ended - episode.began for episode in found), timedelta(0))
    often = {1: "once", 2: "twice"}.get(len(found), f"{len(found)} times")
    return f"{often}, {whole / timedelta(hours=1):.1f} h in all, {max(episode.peak for episode in found):,.0f} at most"


def _peak(points: Points, span: tuple[datetime, datetime]) -> float:
    """Give the highest value in a span and in the hour before it: a drain begins at the height of the trouble."""
    began, ended = span
    return max((value for at, value in points if began - timedelta(hours=1) <= at <= ended), default=0.0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
