"""The weekly review in words: Markdown for people who open it, plain text for those who are told."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from dlq.reports.markdown import cell, listed, table
from dlq.reports.thresholds import told
from dlq.reports.weekly_frames import incident_frame, pattern_frame, queue_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from dlq.reports.weekly import Week

_NOTABLE = frozenset({"new", "rising", "rising in the week"})
_TOLD = 5  # signatures of a queue that are told


def title(weeks: Sequence[Week], zone: tzinfo) -> str:
    """Say in one line what the week was."""
    until = max(week.until for week in weeks).astimezone(zone)
    runs = sum(len(week.incidents) for week in weeks)
    changes = sum(proposal.proposed is not None for week in weeks for proposal in week.proposals)
    proposed = f", {changes} threshold{'s' * (changes != 1)} to change" if changes else ""
    return f"Weekly review {until:%Y-%m-%d}: {runs} run{'s' * (runs != 1)}{proposed}"


def text(weeks: Sequence[Week]) -> str:
    """Tell it in a few lines of plain text."""
    lines = []
    for week in weeks:
        arrived = "arrivals unknown" if week.arrived is None else f"{week.arrived:,} arrived"
        before = "" if week.arrived_before is None else f" ({week.arrived_before:,} the week before)"
        lines.append(f"{week.queue}: {arrived}{before}, {len(week.incidents)} runs")
        frame = pattern_frame(week, _TOLD)
        lines += [
            f"  {row['trend']}: {row['signature']} ({int(row['arrived']):,})"
            for row in frame.to_dict("records")
            if row["trend"] in _NOTABLE
        ]
        lines += [
            f"  {proposal.name}: {proposal.present:,} -> {proposal.proposed:,}; {proposal.reason}"
            for proposal in week.proposals
            if proposal.proposed is not None
        ]
    return "\n".join(lines)


def markdown(weeks: Sequence[Week], zone: tzinfo, picture: bytes = b"") -> str:
    """Tell the whole review."""
    lines = [f"# {title(weeks, zone)}", ""]
    if picture:
        encoded = base64.b64encode(picture).decode()
        lines += [f"![Arrivals of each day by signature](data:image/png;base64,{encoded})", ""]
    lines += ["## Queues", "", *table(queue_frame(weeks).drop(columns="history")), ""]
    lines += ["## Thresholds", "", *_thresholds(weeks), "", *_settings(weeks), ""]
    for week in weeks:
        lines += [f"## {week.queue}: signatures", "", *table(pattern_frame(week), "No arrivals were reported."), ""]
        lines += [f"## {week.queue}: runs", "", *table(incident_frame(week, zone), "None."), "", *_notes(week), ""]
    return "\n".join(lines)


def summary(weeks: Sequence[Week]) -> list[dict[str, Any]]:
    """Give the counts that programs read, a row for each queue."""
    return [
        {
            "queue": week.queue,
            "since": week.since.isoformat(timespec="seconds"),
            "until": week.until.isoformat(timespec="seconds"),
            "arrived": week.arrived,
            "arrived_before": week.arrived_before,
            "runs": len(week.incidents),
            "thresholds": {proposal.name: proposal.proposed for proposal in week.proposals if proposal.proposed},
            "history": week.depth.told,
        }
        for week in weeks
    ]


def _thresholds(weeks: Sequence[Week]) -> list[str]:
    """Say of each threshold whether it should stand, why, and what it fired on."""
    lines = []
    for week in weeks:
        for said in week.proposals:
            better = f" → **{said.proposed:,}**" if said.proposed is not None else " stands"
            would = f"; the proposed one would have: {told(said.would_fire)}" if said.proposed is not None else ""
            name = f"**{cell(week.queue)}** {cell(said.name)}"
            lines.append(f"{name} {said.present:,}{better}: {said.reason}. It fired: {told(said.fired)}{would}.")
    return listed(lines, "None.")


def _settings(weeks: Sequence[Week]) -> list[str]:
    """Write what would have to stand in dlq.toml."""
    lines = []
    for week in weeks:
        changed = [f"{said.name} = {said.proposed}" for said in week.proposals if said.proposed is not None]
        if changed:
            lines += [f"[queues.{week.queue}.thresholds]", *changed, ""]
    return ["To take them over, in `dlq.toml`:", "", "```toml", *lines[:-1], "```"] if lines else []


def _notes(week: Week) -> list[str]:
    """Say where numbers are from and what they leave out."""
    said = [f"depth over the week: {cell(week.depth.told)}"]
    if len(week.days) < 7:  # noqa: PLR2004 - a week
        said.append(f"{len(week.days)} of 7 days were reported: arrivals are those of these days")
    if week.arrived_before is None:
        said.append("too few days of the week before were reported to compare with")
    return listed(said, "")
