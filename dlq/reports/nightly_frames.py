"""The nightly report as pandas frames: a row for each queue, and signatures against the day and the week before."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from dlq.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlq.reports.nightly import Night

WEEK = 7
_RISING = 1.5
_NOTABLE = 10  # messages; below that a ratio says nothing
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


def queue_frame(nights: Sequence[Night]) -> pd.DataFrame:
    """Give a row for each queue: depth now, a day ago and at its peak, arrivals, drained, age, threshold."""
    rows = [
        {
            "queue": night.queue,
            "depth": night.depth,
            "a day ago": _depth_before(night),
            "peak in 24 h": night.peak,
            "arrived": night.arrived,
            "drained": night.taken.redriven,
            "oldest": age_text(night.oldest_age),
            "over": "; ".join(night.over) or "no",
            "call": night.level.who if night.level else "nobody",
            "quarantined": night.taken.quarantined,
            "rolled back": night.taken.rolled_back,
            "live": night.found.live_depth,
            "in quarantine": night.found.quarantine_depth,
            "history": night.course.told,
        }
        for night in nights
    ]
    frame = pd.DataFrame(rows)
    return frame.astype({"a day ago": "Int64", "arrived": "Int64"}) if rows else frame


def signature_frame(night: Night, most: int = 10) -> pd.DataFrame:
    """Give the signatures with the most arrivals; `day before` and `week's median` are arrivals too.

    The median is that of up to seven days before, a day without the signature being a zero. Cells are missing where
    there is no day to compare with.
    """
    now = pd.DataFrame(
        [(seen.text, seen.key, seen.arrived, seen.standing) for seen in night.signatures],
        columns=["signature", "key", "arrived", "in the DLQ"],
    ).set_index("key", drop=False)
    earlier = [day for day in night.before[-WEEK:] if day.arrived is not None]
    past = pd.DataFrame(
        [(day.date, seen.key, seen.arrived) for day in earlier for seen in day.signatures if seen.arrived is not None],
        columns=["date", "key", "arrived"],
    )
    table = past.pivot_table(index="key", columns="date", values="arrived", aggfunc="sum", fill_value=0)
    table = table.reindex(index=now.index, columns=[day.date for day in earlier], fill_value=0)
    now["day before"] = table.iloc[:, -1] if earlier else pd.NA
    now["week's median"] = table.median(axis=1) if earlier else pd.NA
    ever = table.sum(axis=1) > 0
    now["trend"] = [
        trend(arrived, median, ever=came) if earlier else ""
        for arrived, median, came in zip(now["arrived"], now["week's median"], ever, strict=True)
    ]
    ordered = now.sort_values(["arrived", "in the DLQ"], ascending=False, kind="stable", na_position="last")
    columns = ["signature", "key", "arrived", "day before", "week's median", "in the DLQ", "trend"]
    counts = {"arrived": "Int64", "day before": "Int64", "week's median": "Float64"}
    return ordered.head(most)[columns].astype(counts).reset_index(drop=True)


def trend(arrived: float | None, median: float, *, ever: bool) -> str:
    """Compare arrivals with the usual: new, rising, falling, or nothing; `ever` is whether it came before."""
    if arrived is None or pd.isna(arrived):
        return ""
    if not ever:
        return "new" if arrived else ""
    if arrived >= _RISING * median and arrived - median >= _NOTABLE:
        return "rising"
    if median >= _RISING * arrived and median - arrived >= _NOTABLE:
        return "falling"
    return ""


def age_text(age: timedelta | None) -> str:
    """Write an age for people: `3d4h`, `2h10m`, `40s`; empty when it is not known."""
    if age is None:
        return ""
    unit = _HOUR if age >= timedelta(days=1) else _MINUTE if age >= _HOUR else timedelta(seconds=1)
    return format_duration(age // unit * unit)


def _depth_before(night: Night) -> int | None:
    """Give the depth a day ago: of the history's first hour, else of the day before's report."""
    first = next((value for at, value in night.course.points if at <= night.at - timedelta(hours=23)), None)
    if first is not None:
        return round(first)
    return night.before[-1].depth if night.before and night.since == night.before[-1].at else None
