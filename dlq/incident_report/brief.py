"""A run in short, in markdown: what every drain publishes, also one that is no incident."""

from datetime import tzinfo

from dlq.engine.run import Kind, Request
from dlq.incident_report.chronicle import chronicle, table
from dlq.incident_report.tables import Table, cell, markdown
from dlq.pacing.pace import Pace
from dlq.records.ledger import doubt
from dlq.summaries import frames
from dlq.summaries.story import Story
from dlq.summaries.success import success_of


def asked(story: Story, zone: tzinfo) -> dict[str, str]:
    """Say what was asked for, by whom, when and why."""
    record = story.record
    began = record.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z") if record.started_at else "unknown"
    return {
        "Run": record.run_id,
        "Queue": record.queue,
        "Kind": record.kind,
        "Asked by": record.who,
        "Reason": record.reason or "none given",
        "Began": began,
        **(_wished(Request.from_record(record)) if record.kind != Kind.ROLLBACK else {}),
        **({"Approval": record.facts["approval"]} if "approval" in record.facts else {}),
        "Success rate": success_of(record.facts),
    }


def brief(story: Story, zone: tzinfo, path: str = "") -> str:
    """Tell a run in markdown, for an artifact; `path` is where a report file lies."""
    lines = [f"# {story.record.kind.capitalize()} of {story.record.queue}", "", f"**{story.outcome.conservation}**", ""]
    lines += [f"- {name}: {cell(said)}" for name, said in asked(story, zone).items()]
    lines += ["", "## Timeline", "", *markdown(table(chronicle(story, None, ()), zone))]
    outcome = Table.of(frames.outcome_frame(story.outcome, story.names), counted="redriven")
    lines += ["", "## Outcome by signature", "", *markdown(outcome)]
    if said := doubt(story.record.maybe_duplicated):
        lines += ["", f"{said}."]
    if not story.outcome.exact:
        lines += ["", "Somebody else took messages out of the DLQ meanwhile: bounces were looked for in all of it."]
    if path:
        lines += ["", f"Report file: `{path}`"]
    return "\n".join(lines) + "\n"


def _wished(request: Request) -> dict[str, str]:
    """Say which messages, what was to be changed, how fast, and where dropped ones are kept; the usual is left out."""
    selected = request.selector.describe()
    if request.limit is not None:
        selected += f", {request.limit:,} at most"
    said = {"Selected": selected, "Edit": request.edit.describe() if request.edit else ""}
    if request.pace:
        said["Pace"] = Pace.from_parameters(request.pace).describe()
    return {name: words for name, words in {**said, "Archive": request.archive}.items() if words}
