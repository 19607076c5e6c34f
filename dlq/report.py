"""The report of a run: one HTML file with its plots inside, and the same in markdown."""

import html
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, Self

import pandas as pd

from dlq import frames, plots
from dlq.assess import Assessment
from dlq.brokers.base import DeadLetterQueue
from dlq.errors import RunNotFoundError
from dlq.ledger import RunRecord, unpack_signatures
from dlq.reading import Reading
from dlq.settings import QueueConfig
from dlq.signatures import Signature
from dlq.verify import Outcome, verify

NOT_CONFIGURED = "not configured"
_WAVES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Story:
    """A run told from its ledger: who asked for what, how it went, what became of the messages."""

    record: RunRecord
    outcome: Outcome
    names: dict[int, str]
    course: tuple[frames.CoursePoint, ...]
    waves: pd.DataFrame
    verified_at: datetime

    @classmethod
    def of(cls, queue: DeadLetterQueue, config: QueueConfig, run_id: str) -> Self:
        """Verify a run and read its ledger; RunNotFoundError when there is none."""
        reading = Reading.of(config)
        outcome = verify(queue, run_id, reading)
        names = {code: str(Signature(*parts)) for code, parts in unpack_signatures(queue.signatures(run_id)).items()}
        record = queue.run(run_id)
        if record is None:  # it expired since the line above
            raise RunNotFoundError(run=run_id)
        batches = list(queue.batches(run_id))
        return cls(record, outcome, names, frames.course(record, batches), frames.waves(batches), datetime.now(UTC))

    def summary(self) -> dict[str, Any]:
        """Give the counts that programs read, with the names that the `dlq` command uses."""
        row: dict[str, Any] = frames.rows(frames.conservation_frame(self.outcome))[0]
        return {
            "run_id": self.record.run_id,
            "queue": self.record.queue,
            "state": self.record.state,
            **row,
            "redriven": self.record.redriven,
            "kept": self.record.kept,
            "conservation": self.outcome.conservation,
        }


def timeline(story: Story, before: Assessment | None, zone: tzinfo) -> pd.DataFrame:
    """Give a row for each thing that happened, in order; of many waves the first and the last ones."""
    record = story.record
    events: list[tuple[datetime, str]] = []
    if before:
        events.append((before.at, f"assessed: {before.depth:,} messages, severity {before.severity}"))
    if record.started_at:
        events.append((record.started_at, f"{record.kind} begun by {record.who}: {record.frozen:,} messages frozen"))
    shown = story.waves
    if len(shown) > _WAVES_SHOWN:
        shown = pd.concat([shown.head(_WAVES_SHOWN // 2), shown.tail(_WAVES_SHOWN // 2)])
    for wave in shown.to_dict("records"):
        text = f"wave {wave['wave']}: {wave['selected']:,} selected of {wave['scanned']:,} looked at"
        events.append((wave["ended"].to_pydatetime(), text))
    if record.ended_at:
        events.append((record.ended_at, f"run {record.state}: {record.selected:,} messages selected"))
    events.append((story.verified_at, f"verified: {story.outcome.conservation}"))
    events.sort(key=lambda event: event[0])
    return pd.DataFrame(
        [(at.astimezone(zone).strftime("%H:%M:%S"), text) for at, text in events], columns=["time", "event"]
    )


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
        "Success rate": NOT_CONFIGURED,
    }


def _said(value: Any) -> Any:
    """Leave out of a selector or edit what nobody asked for."""
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if part not in (None, [], {}, False) and name != "now"}


def markdown(story: Story, before: Assessment | None, zone: tzinfo, path: str = "") -> str:
    """Tell the run in markdown, for an artifact or a ticket."""
    lines = [f"# {story.record.kind.capitalize()} of {story.record.queue}", "", f"**{story.outcome.conservation}**", ""]
    lines += [f"- {name}: {_cell(said)}" for name, said in asked(story, zone).items()]
    lines += ["", "## Timeline", "", *_table(timeline(story, before, zone))]
    lines += ["", "## Outcome by signature", "", *_table(frames.outcome_frame(story.outcome, story.names))]
    if not story.outcome.exact:
        lines += ["", "Somebody else took messages out of the DLQ meanwhile: bounces were looked for in all of it."]
    if path:
        lines += ["", f"Report file: `{path}`"]
    return "\n".join(lines) + "\n"


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
        lines += [f"## {title}", "", *_table(frame), ""]
    return "\n".join(lines)


def _growth(per_minute: float | None) -> str:
    return "unknown (no samples of the last minutes)" if per_minute is None else f"{per_minute:,.0f} a minute"


def write(story: Story, before: Assessment, folder: Path, zone: tzinfo) -> Path:
    """Write the report file into the folder, which is made; the same run overwrites its report."""
    depth = plots.depth_plot(story.course, zone)
    failures = plots.failure_plot(frames.failure_frame(before), zone)
    outcome = frames.outcome_frame(story.outcome, story.names)
    facts = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(said)}</dd>" for name, said in asked(story, zone).items()
    )
    counts = frames.rows(frames.conservation_frame(story.outcome))[0]
    tiles = "".join(f"<li><b>{count:,}</b> {name.replace('_', ' ')}</li>" for name, count in counts.items())
    template = resources.files("dlq").joinpath("report.html").read_text(encoding="utf-8")
    page = Template(template).substitute(
        title=html.escape(f"{story.record.kind.capitalize()} of {story.record.queue}"),
        run=html.escape(story.record.run_id),
        conservation=html.escape(story.outcome.conservation),
        tiles=tiles,
        facts=facts,
        timeline=_html(timeline(story, before, zone)),
        depth=_picture(depth, "Messages in the DLQ over time"),
        failures=_picture(failures, "Failures by signature over time"),
        outcome=_html(outcome),
        before=_html(frames.signature_frame(before)[["signature", "key", "messages", "share", "attempts_max"]]),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / f"{story.record.run_id}.html").resolve()
    path.write_text(page, encoding="utf-8")
    return path


def _html(frame: pd.DataFrame) -> str:
    """Render a table; numbers get a class of their own, so that they align."""
    if frame.empty:
        return "<p>none</p>"
    head = "".join(f"<th>{html.escape(str(name).replace('_', ' '))}</th>" for name in frame.columns)
    body = "".join(f"<tr>{''.join(map(_html_cell, row.values()))}</tr>" for row in frames.rows(frame))
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _html_cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"<td class=n>{value:,}</td>"
    return f"<td>{html.escape('' if value is None else str(value))}</td>"


def _picture(plot: plots.Plot | None, alt: str) -> str:
    """Show the dark plot to those who prefer dark, the light one to the others."""
    if plot is None:
        return "<p>no message says when it failed</p>"
    return (
        f'<picture><source srcset="{plot.dark}" media="(prefers-color-scheme: dark)">'
        f'<img src="{plot.light}" alt="{html.escape(alt)}"></picture>'
    )


def _table(frame: pd.DataFrame) -> Iterable[str]:
    if frame.empty:
        return ["none"]
    head = [str(name).replace("_", " ") for name in frame.columns]
    body = [[_cell(value) for value in row.values()] for row in frames.rows(frame)]
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]


def _cell(value: object) -> str:
    """Render a value for a markdown table: nothing in it may end the cell or begin a tag."""
    if isinstance(value, int | float):
        return f"{value:,}"
    text = "" if value is None else str(value)
    return html.escape(text.replace("\n", " "), quote=False).replace("|", "\\|")
