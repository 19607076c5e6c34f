"""The weekly review as pandas frames: signatures, incidents, thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dlq.reports.nightly_frames import age_text, trend
from dlq.reports.thresholds import told
from dlq.reports.weekly import WEEK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from dlq.reports.days import Day
    from dlq.reports.weekly import Week

_HALVES = 4  # days that are needed to tell a trend within the week


def queue_frame(weeks: Sequence[Week]) -> pd.DataFrame:
    """Give a row for each queue: arrivals against the week before, drained, incidents, peak."""
    frame = pd.DataFrame(
        [
            {
                "queue": week.queue,
                "arrived": week.arrived,
                "week before": week.arrived_before,
                "drained": sum(incident.record.redriven for incident in week.incidents),
                "runs": len(week.incidents),
                "taken back": sum(bool(incident.undone_by) for incident in week.incidents),
                "peak": week.depth.peak,
                "days reported": len(week.days),
                "history": week.depth.told,
            }
            for week in weeks
        ]
    )
    return frame.astype({"arrived": "Int64", "week before": "Int64", "peak": "Int64"})


def pattern_frame(week: Week, most: int = 15) -> pd.DataFrame:
    """Give the signatures of the week, new and rising ones first, then by arrivals.

    `week before` are the arrivals of the seven days before, missing when fewer than half of them were reported.
    """
    daily = _daily(week.days)
    before = [day for day in week.earlier if day.at > week.since - WEEK]
    past = _daily(before).sum(axis=1).reindex(daily.index, fill_value=0)
    ever = _daily(week.earlier).sum(axis=1).reindex(daily.index, fill_value=0) > 0
    names = {seen.key: seen.text for day in week.days for seen in day.signatures}
    frame = pd.DataFrame(
        {
            "signature": [names[key] for key in daily.index],
            "key": daily.index,
            "arrived": daily.sum(axis=1),
            "week before": past if week.arrived_before is not None else pd.NA,
            "days": (daily > 0).sum(axis=1),
        }
    )
    known = week.arrived_before is not None
    frame["trend"] = [
        (trend(total, last, ever=came) if known else "") or within(list(counts))
        for total, last, came, counts in zip(frame["arrived"], past, ever, daily.to_numpy(), strict=True)
    ]
    order = frame["trend"].map({"new": 0, "rising": 1, "rising in the week": 2}).fillna(3)
    frame = frame[frame["arrived"] > 0].assign(order=order).sort_values(["order", "arrived"], ascending=[True, False])
    counts = {"arrived": "Int64", "week before": "Int64", "days": "Int64"}
    return frame.drop(columns="order").head(most).astype(counts).reset_index(drop=True)


def within(counts: Sequence[float]) -> str:
    """Say whether a signature rose within the week: the later half of its days against the earlier half."""
    if len(counts) < _HALVES:
        return ""
    half = len(counts) // 2
    earlier, later = pd.Series(counts[:half]).median(), pd.Series(counts[-half:]).median()
    return "rising in the week" if trend(float(later), float(earlier), ever=True) == "rising" else ""


def incident_frame(week: Week, zone: tzinfo) -> pd.DataFrame:
    """Give a row for each run of the week, oldest first."""
    return pd.DataFrame(
        [
            {
                "began": record.started_at.astimezone(zone).strftime("%a %d %b %H:%M") if record.started_at else "",
                "kind": record.kind,
                "selected": record.selected,
                "took": age_text(incident.took) if incident.took is not None else "not ended",
                "outcome": incident.outcome,
                "asked by": record.who,
                "reason": record.reason,
                "run": record.run_id,
            }
            for incident in week.incidents
            for record in [incident.record]
        ],
        columns=["began", "kind", "selected", "took", "outcome", "asked by", "reason", "run"],
    )


def threshold_frame(weeks: Sequence[Week]) -> pd.DataFrame:
    """Give a row for each threshold: the present one, the proposed one, when each fired, and why."""
    frame = pd.DataFrame(
        [
            {
                "queue": week.queue,
                "threshold": proposal.name,
                "present": proposal.present,
                "proposed": proposal.proposed,
                "fired": told(proposal.fired),
                "would have fired": told(proposal.would_fire) if proposal.proposed else "",
                "why": proposal.reason,
            }
            for week in weeks
            for proposal in week.proposals
        ]
    )
    return frame.astype({"proposed": "Int64"})


def _daily(days: Sequence[Day]) -> pd.DataFrame:
    """Give arrivals with a row for each signature's key and a column for each day; what is unknown is left out."""
    rows = [(day.date, seen.key, seen.arrived) for day in days for seen in day.signatures if seen.arrived is not None]
    frame = pd.DataFrame(rows, columns=["date", "key", "arrived"])
    table = frame.pivot_table(index="key", columns="date", values="arrived", aggfunc="sum", fill_value=0)
    return table.reindex(columns=[day.date for day in days], fill_value=0)
