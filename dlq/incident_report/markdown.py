"""The incident report in markdown, for an artifact or a ticket."""

from collections.abc import Iterator

from dlq.incident_report import tables
from dlq.incident_report.incident import IncidentReport
from dlq.incident_report.tables import cell


def markdown(report: IncidentReport, path: str = "") -> str:
    """Write the report; `path` is where the page lies."""
    return "\n".join(_lines(report, path)) + "\n"


def _lines(report: IncidentReport, path: str) -> Iterator[str]:
    yield from (f"# {cell(report.title)}: {report.state}", "", f"**{report.story.outcome.conservation}**", "")
    yield from map(cell, report.summary())
    yield from ("", "## Times", "")
    yield from (f"- {name}: {cell(said)}" for name, said in report.times.rows())
    yield from ("", "## Root cause", "", *_cause(report))
    yield from ("", "## Timeline", "", *tables.markdown(report.timeline()))
    yield from ("", "## Messages by signature", "", *tables.markdown(report.outcome()))
    yield from ("", "## Actions", "", *tables.markdown(report.actions()))
    yield from ("", "## What remains", "", *(f"- {cell(line)}" for line in report.remains()))
    yield from ("", "## Thresholds", "", *(f"- {cell(line)}" for line in report.advice or ("not assessed",)))
    yield from ("", "## Affected customers", "", *_customers(report))
    for draft in report.drafts():
        yield from ("", f"## Draft: {cell(draft.title)}", "", *(f"> {cell(line)}" for line in draft.text.splitlines()))
    yield from ("", "## What was asked", "", *(f"- {cell(name)}: {cell(said)}" for name, said in report.facts()))
    if report.untold:
        yield from ("", "## What people were not told", "", *tables.markdown(report.missed()))
    if path:
        yield from ("", f"Report file: `{path}`")


def _cause(report: IncidentReport) -> Iterator[str]:
    if not report.cause.hypotheses:
        yield f"unknown: {cell(report.cause.unknown)}"
    for number, hypothesis in enumerate(report.cause.hypotheses, 1):
        yield f"{number}. {cell(hypothesis.text)}"
        yield from (f"   - {cell(line)}" for line in hypothesis.evidence)
    if report.cause.notes:
        yield from ("", "Not asked, or no answer:", "", *(f"- {cell(line)}" for line in report.cause.notes))


def _customers(report: IncidentReport) -> Iterator[str]:
    found = report.customers()
    if report.affected is None or found is None:
        yield "not configured: `customer` under `[queues.NAME.fields]` names the field that says whose a message is"
        return
    yield f"{report.affected.customers:,} customers; {report.affected.unknown:,} messages do not say whose they are."
    yield ""
    yield from tables.markdown(found)
