"""The incident report as one HTML file with its plots inside, for light and dark, wide and narrow."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from dlq.incident_report.incident import IncidentReport
from dlq.summaries import frames, plots

_COUNTS = ("selected", "delivered", "bounced", "pending", "quarantined", "dropped", "rolled_back", "unexplained")


def page(report: IncidentReport) -> str:
    """Write the page; whatever comes from a message is escaped by the template engine."""
    environment = Environment(
        loader=PackageLoader("dlq.incident_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    outcome = report.story.outcome
    return environment.get_template("incident.html").render(
        report=report,
        outcome=outcome,
        counts=[(name.replace("_", " "), getattr(outcome, name)) for name in _COUNTS],
        depth=plots.depth_plot(report.story.course, report.zone),
        failures=plots.failure_plot(frames.failure_frame(report.before), report.zone) if report.before else None,
        written=report.story.verified_at.astimezone(report.zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
    )


def write(report: IncidentReport, folder: Path) -> Path:
    """Write the page into the folder, which is made; the same run overwrites its page."""
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / f"{report.story.record.run_id}.html").resolve()
    path.write_text(page(report), encoding="utf-8")
    return path
