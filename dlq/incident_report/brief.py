"""A run in short, in markdown: what every drain publishes, also one that is no incident."""

import json
from datetime import tzinfo
from typing import Any

from dlq.incident_report.chronicle import chronicle, table
from dlq.incident_report.tables import Table, cell, markdown
from dlq.summaries import frames
from dlq.summaries.story import Story
from dlq.summaries.success import success_of


def asked(story: Story, zone: tzinfo) -> dict[str, str]:
    """Say what was asked for, by whom, when and why."""
    record = story.record
    began = record.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z") if record.started_at else "unknown"
    parts = {name: _said(value) for name, value in record.parameters.items()}
    return {
        "Run": record.run_id,
        "Queue": record.queue,
        "Kind": record.kind,
        "Asked by": record.who,
        "Reason": record.reason or "none given",
        "Began": began,
        **{name.capitalize(): json.dumps(value) for name, value in parts.items() if value not in ({}, [], None)},
        "Success rate": success_of(record.facts),
    }


def brief(story: Story, zone: tzinfo, path: str = "") -> str:
    """Tell a run in markdown, for an artifact; `path` is where a report file lies."""
    lines = [f"# {story.record.kind.capitalize()} of {story.record.queue}", "", f"**{story.outcome.conservation}**", ""]
    lines += [f"- {name}: {cell(said)}" for name, said in asked(story, zone).items()]
    lines += ["", "## Timeline", "", *markdown(table(chronicle(story, None, ()), zone))]
    outcome = Table.of(frames.outcome_frame(story.outcome, story.names), counted="redriven")
    lines += ["", "## Outcome by signature", "", *markdown(outcome)]
    if not story.outcome.exact:
        lines += ["", "Somebody else took messages out of the DLQ meanwhile: bounces were looked for in all of it."]
    if path:
        lines += ["", f"Report file: `{path}`"]
    return "\n".join(lines) + "\n"


def _said(value: Any) -> Any:
    """Leave out of a selector or edit what nobody asked for."""
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if part not in (None, [], {}, False) and name != "now"}
