"""Advice on thresholds, from when the messages failed: which threshold would have called people sooner."""

from collections import Counter
from datetime import UTC, datetime, timedelta, tzinfo

from dlq.config.queues import Thresholds
from dlq.durations import format_duration
from dlq.engine.assess import Assessment

_WINDOW = 5
"""Minutes over which a growth is looked at, as the runbook's rule does."""
_SOON = 10
"""Minutes after the first failure at which a better threshold would fire."""
_LEAST = 10
"""Messages; a threshold under that fires at nothing."""


def advise(before: Assessment, thresholds: Thresholds, zone: tzinfo) -> list[str]:
    """Say when the thresholds were crossed, and which would have been crossed soon after the first failure.

    Only messages that still lay in the DLQ are known, so an incident may have begun earlier than this says.
    """
    minutes: Counter[int] = Counter()
    for seen in before.signatures:
        minutes.update(seen.per_minute)
    if not minutes:
        return ["No message says when it failed, so nothing can be said about thresholds: have failures dated."]
    first = min(minutes)
    return [*_depth(minutes, first, thresholds, zone), *_growth(minutes, first, thresholds, zone)]


def _depth(minutes: Counter[int], first: int, thresholds: Thresholds, zone: tzinfo) -> list[str]:
    crossed, at_soon, total = None, 0, 0
    for minute in sorted(minutes):
        total += minutes[minute]
        if minute < first + _SOON:
            at_soon = total
        if crossed is None and total > thresholds.depth_warn:
            crossed = minute
    if crossed is None:
        return [f"The depth threshold of {thresholds.depth_warn:,} was not crossed: {total:,} messages failed."]
    said = (
        f"The depth threshold of {thresholds.depth_warn:,} was crossed at {_clock(crossed, zone)}, "
        f"{_minutes(crossed - first)} after the first failure."
    )
    better = _round(at_soon)
    if crossed - first > _SOON and _LEAST <= better < thresholds.depth_warn:
        said += f" A depth_warn of {better:,} would have been crossed within {_SOON}m."
    return [said]


def _growth(minutes: Counter[int], first: int, thresholds: Thresholds, zone: tzinfo) -> list[str]:
    rates = {minute: sum(minutes[minute + step] for step in range(_WINDOW)) / _WINDOW for minute in minutes}
    fastest = max(rates.values())
    said = f"The fastest growth over {_WINDOW}m was {fastest:,.0f} a minute; the threshold is "
    crossed = min((minute for minute, rate in rates.items() if rate > thresholds.growth_per_minute), default=None)
    if crossed is not None:
        late = _minutes(crossed + _WINDOW - first)
        clock = _clock(crossed + _WINDOW, zone)
        return [f"{said}{thresholds.growth_per_minute:,}, crossed by {clock}, {late} after the first failure."]
    better = _round(int(fastest / 2))
    hint = f" A growth_per_minute of {better:,} would have been crossed." if better >= _LEAST else ""
    return [f"{said}{thresholds.growth_per_minute:,}, which was not crossed.{hint}"]


def _round(count: int) -> int:
    """Round down to one digit and zeros, as people write thresholds."""
    size = int("1" + "0" * (len(str(count)) - 1))
    return count // size * size


def _clock(minute: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC).astimezone(zone):%Y-%m-%d %H:%M}"


def _minutes(count: int) -> str:
    return format_duration(timedelta(minutes=count))
