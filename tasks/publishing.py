"""Steps that show results: artifacts in Prefect, and the report file.

pandas and matplotlib take a second or two to import, so the modules that need them are imported inside the steps.
A card of the Prefect UI shows 25 letters of an artifact's description: it begins with what one wants to know.
"""

import re
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from dlq.engine.assess import Assessment
from dlq.engine.preview import Preview
from dlq.engine.rollback import Undone
from tasks.retries import step

if TYPE_CHECKING:
    from dlq.engine.verify import Outcome
    from dlq.summaries.story import Story


@step("publish-assessment")
def publish_assessment(found: Assessment) -> dict[str, Any]:
    """Publish the signature table and a summary of an assessment; give the summary."""
    from dlq.incident_report import assessment_markdown, assessment_summary  # noqa: PLC0415
    from dlq.summaries import frames  # noqa: PLC0415 - see the module's docstring

    create_table_artifact(
        table=frames.rows(frames.last(frames.signature_frame(found), "signature")),
        key=artifact_key("signatures", found.queue),
        description=f"{len(found.signatures):,} signatures in the DLQ",
    )
    create_markdown_artifact(
        markdown=assessment_markdown(found, load_settings().zone),
        key=artifact_key("assessment", found.queue),
        description=f"severity {found.severity.value}, {found.depth:,} in the DLQ",
    )
    return assessment_summary(found)


@step("publish-preview")
def publish_preview(seen: Preview) -> dict[str, Any]:
    """Publish what a run would do; give it as a dictionary. The edits of a few messages show their payload."""
    summary = seen.as_dict()
    create_table_artifact(
        table=summary["signatures"],
        key=artifact_key("preview", seen.queue),
        description=f"{seen.selected:,} of {seen.depth:,} by signature",
    )
    diffs = "\n\n".join(f"```diff\n{diff.replace('```', '` ` `')}\n```" for diff in seen.diffs)
    counts = f"{seen.selected:,} of {seen.depth:,} messages would be selected; {seen.refused:,} edits do not apply."
    create_markdown_artifact(
        markdown=f"# Dry run on {seen.queue}\n\n{counts}\n\n{diffs}\n",
        key=artifact_key("dry-run", seen.queue),
        description=f"{seen.selected:,} of {seen.depth:,} selected",
    )
    return {name: part for name, part in summary.items() if name != "diffs"}


@step("publish-outcome")
def publish_story(story: "Story", report_path: str = "") -> dict[str, Any]:
    """Publish the outcome of a run as a table and a timeline; give the summary."""
    from dlq.incident_report import brief  # noqa: PLC0415
    from dlq.summaries import frames  # noqa: PLC0415 - see the module's docstring

    queue, outcome = story.record.queue, story.outcome
    create_table_artifact(
        table=frames.rows(frames.last(frames.outcome_frame(outcome, story.names), "signature")),
        key=artifact_key("outcome", queue),
        description=f"{became(outcome)}: {outcome.conservation}",
    )
    create_markdown_artifact(
        markdown=brief(story, load_settings().zone, report_path),
        key=artifact_key("run", queue),
        description=f"{story.record.kind}, {story.record.state}: {story.record.run_id}",
    )
    return story.summary() | ({"report": report_path} if report_path else {})


def became(outcome: "Outcome") -> str:
    """Say what became of a run's messages, in few letters: what there is none of is left out."""
    counts = {"delivered": outcome.delivered, "bounced": outcome.bounced, "pending": outcome.pending}
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count) or "see below"


@step("publish-rollback")
def publish_undone(queue: str, undone: Undone) -> None:
    """Publish what a rollback could and could not take back."""
    create_table_artifact(
        table=[
            {
                "put back": undone.withdrawn,
                "out of reach": undone.out_of_reach,
                "redriven again": undone.again,
                "maybe there twice": undone.maybe_duplicated,
                "undoes": undone.undoes,
                "rollback": undone.run_id,
            }
        ],
        key=artifact_key("rollback", queue),
        description=f"{undone.withdrawn:,} put back, of {undone.undoes}",
    )


@step("write-report")
def write_report(story: "Story", before: Assessment) -> str:
    """Write the report of an incident, its page as a file and the same in markdown as an artifact; give the path."""
    from dlq.incident_report import IncidentReport, markdown, write  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    queue = story.record.queue
    with open_notebook(settings, queue) as notebook:
        report = IncidentReport.of(notebook, settings.queue(queue), story, before, settings.zone)
    path = str(write(report, settings.reports_folder))
    create_markdown_artifact(
        markdown=markdown(report, path),
        key=artifact_key("incident", queue),
        description=f"report: {story.record.run_id}",
    )
    get_run_logger().info("report: %s", path)
    return path


def artifact_key(kind: str, queue: str) -> str:
    """Make an artifact key, which may hold small letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{queue}".lower()).strip("-")
