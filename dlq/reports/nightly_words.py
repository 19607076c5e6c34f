"""The nightly report in words: Markdown for people who open it, plain text for those who are told."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from dlq.config.policy import Severity
from dlq.reports.markdown import cell, listed, table
from dlq.reports.nightly_frames import age_text, queue_frame, signature_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from dlq.reports.nightly import Night

_ORDER = list(Severity)
_TOLD = 3  # signatures of a queue that are told
_COLUMNS = ["queue", "depth", "a day ago", "peak in 24 h", "arrived", "drained", "oldest", "over"]


def worst(nights: Sequence[Night]) -> Night:
    """Give the queue in the worst state: by severity, then by what it is over, then by depth."""
    return max(nights, key=lambda night: (_ORDER.index(night.severity), len(night.over), night.depth))


def title(nights: Sequence[Night], zone: tzinfo) -> str:
    """Say in one line how it stands."""
    day = max(night.at for night in nights).astimezone(zone)
    over = [night.queue for night in nights if night.over]
    stand = f"{', '.join(over)} over a threshold" if over else "no queue over a threshold"
    return f"Depth report {day:%Y-%m-%d}: {stand}"


def summary(nights: Sequence[Night]) -> list[dict[str, Any]]:
    """Give the counts that programs read, a row for each queue."""
    return [
        {
            "queue": night.queue,
            "at": night.at.isoformat(timespec="seconds"),
            "since": night.since.isoformat(timespec="seconds"),
            "depth": night.depth,
            "peak": night.peak,
            "arrived": night.arrived,
            "drained": night.taken.redriven,
            "oldest": night.found.oldest and night.found.oldest.isoformat(timespec="seconds"),
            "over": list(night.over),
            "severity": night.severity.value,
            "history": night.course.told,
        }
        for night in nights
    ]


def text(nights: Sequence[Night]) -> str:
    """Tell it in a few lines of plain text, the worst queue first."""
    ordered = sorted(nights, key=lambda night: (-len(night.over), -night.depth))
    return "\n".join(line for night in ordered for line in _told(night))


def _told(night: Night) -> list[str]:
    arrived = "arrivals unknown" if night.arrived is None else f"{night.arrived:,} arrived"
    oldest = f", the oldest {age_text(night.oldest_age)} old" if night.found.oldest else ""
    lines = [f"{night.queue}: {night.depth:,} in the DLQ{oldest}; {arrived}, {night.taken.redriven:,} drained"]
    lines += [f"  ! {said}" for said in night.over]
    for row in signature_frame(night, _TOLD).to_dict("records"):
        if row["trend"] in {"new", "rising"}:
            lines.append(f"  {row['trend']}: {row['signature']} ({int(row['arrived']):,})")
    return lines


def markdown(nights: Sequence[Night], zone: tzinfo, picture: bytes = b"") -> str:
    """Tell the whole report."""
    lines = [f"# {title(nights, zone)}", ""]
    if picture:
        lines += [f"![The depth of each queue and what came most](data:image/png;base64,{_encoded(picture)})", ""]
    lines += ["## Queues", "", *table(queue_frame(nights)[_COLUMNS]), ""]
    over = [f"**{night.queue}**: {said}; call: {_called(night)}" for night in nights for said in night.over]
    lines += ["## Over a threshold", "", *listed(over, "No queue is, or was in the last 24 hours."), ""]
    for night in nights:
        since = night.since.astimezone(zone)
        lines += [f"## {night.queue}: what came since {since:%Y-%m-%d %H:%M %Z}", ""]
        lines += [*table(signature_frame(night), "Nothing came, and nothing lies there."), "", *_notes(night), ""]
    return "\n".join(lines)


def _notes(night: Night) -> list[str]:
    """Say where numbers are from and what they leave out."""
    said = [f"depth over the day: {cell(night.course.told)}"]
    if not night.before:
        said.append(
            "first report of this queue: arrivals are counted by time of failure, without what was drained meanwhile"
        )
    if night.others:
        said.append(f"{night.others:,} more messages lie there under rarer signatures")
    if night.corrupted:
        said.append(f"{night.corrupted:,} messages cannot be read")
    return listed(said, "")


def _called(night: Night) -> str:
    return f"level {night.level.number}, {night.level.who}" if night.level else "nobody now"


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
