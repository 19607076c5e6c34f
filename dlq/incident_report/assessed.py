"""An assessment in words: a summary for programs, and markdown for people."""

from datetime import tzinfo
from typing import Any

from dlq.engine.assess import Assessment
from dlq.incident_report.tables import Table, markdown
from dlq.summaries import frames


def assessment_summary(found: Assessment) -> dict[str, Any]:
    """Give the counts of an assessment in JSON types."""
    return {
        "queue": found.queue,
        "at": found.at.isoformat(timespec="seconds"),
        "depth": found.depth,
        "live_depth": found.live_depth,
        "quarantine_depth": found.quarantine_depth,
        "corrupted": sum(found.corrupted.values()),
        "types": found.types,
        "signatures": len(found.signatures),
        "oldest": found.oldest and found.oldest.isoformat(timespec="seconds"),
        "newest": found.newest and found.newest.isoformat(timespec="seconds"),
        "severity": found.severity.value,
        "level": found.level and found.level.number,
        "growth_per_minute": found.growth_per_minute,
    }


def assessment_markdown(found: Assessment, zone: tzinfo) -> str:
    """Tell an assessment in markdown."""
    called = f"level {found.level.number}, {found.level.who} ({found.level.when})" if found.level else "nobody"
    oldest, newest = (
        when.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z") if when else "unknown"
        for when in (found.oldest, found.newest)
    )
    lines = [
        f"# Assessment of {found.queue}",
        "",
        f"**{found.depth:,} messages in the DLQ; severity {found.severity}; call: {called}**",
        "",
        f"- live queue: {found.live_depth:,}",
        f"- quarantine: {found.quarantine_depth:,}",
        f"- oldest failure: {oldest}",
        f"- newest failure: {newest}",
        f"- growth: {_growth(found.growth_per_minute)}",
        "",
    ]
    for title, frame in (
        ("Types", frames.type_frame(found)),
        ("Corrupted", frames.corruption_frame(found)),
        ("Signatures", frames.signature_frame(found).drop(columns=["first_seen", "last_seen", "samples"])),
    ):
        lines += [f"## {title}", "", *markdown(Table.of(frame, counted="messages")), ""]
    return "\n".join(lines)


def _growth(per_minute: float | None) -> str:
    return "unknown (no samples of the last minutes)" if per_minute is None else f"{per_minute:,.0f} a minute"
