"""Steps that tell people: through Slack, and through whatever else is set up. Telling never fails a run.

pandas and matplotlib take a second or two to import, so the modules that need them are imported inside the steps.
"""

from typing import TYPE_CHECKING, Any

from prefect import get_run_logger

from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import Settings, load_settings
from dlq.engine.assess import Assessment
from dlq.errors import DlqError
from dlq.notices import Delivery, Notice, State, send, show
from dlq.notices.incident import is_incident
from dlq.notices.words import (
    assessment_facts,
    assessment_notice,
    failure_notice,
    outcome_facts,
    outcome_notice,
    outcome_state,
    standing_facts,
)
from tasks.retries import step

if TYPE_CHECKING:
    from dlq.summaries.story import Story


@step("tell")
def tell_people(queue: str, notice: Notice) -> list[Delivery]:
    """Tell a notice through every channel that is set up; the same notice of a run is told once."""
    return _tell(load_settings(), queue, notice)


@step("tell-assessment")
def tell_assessment(found: Assessment, run_id: str) -> list[Delivery]:
    """Open the incident's message with what the assessment found, and tell it with a plot of the failures."""
    from dlq.summaries import frames, plots  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    _show(settings, found.queue, run_id, assessment_facts(found))
    plot = plots.failure_picture(frames.failure_frame(found), settings.zone) if _shows(settings) else None
    return _tell(settings, found.queue, assessment_notice(found, run_id, plot))


@step("open-status-page")
def open_status_page(found: Assessment, run_id: str) -> None:
    """Tell the public status page of a severe incident."""
    from dlq.incident_report import public  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    with open_notebook(settings, found.queue) as notebook:
        delivery = public.open_page(settings, notebook, found, run_id)
    get_run_logger().info("status page: %s", delivery.reached if delivery else "not severe enough")


@step("close-status-page")
def close_status_page(story: "Story", before: Assessment) -> None:
    """Bring what the public status page says of this incident up to its outcome, if it says anything."""
    from dlq.incident_report import public  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    with open_notebook(settings, story.record.queue) as notebook:
        delivery = public.close_page(settings, notebook, story, before)
    get_run_logger().info("status page: %s", delivery.reached if delivery else "it says nothing of this")


@step("show-incident")
def show_incident(queue: str, run_id: str, facts: dict[str, Any] | None = None) -> None:
    """Bring the incident's message up to date with the queue, the ledger, and `facts`: fields of Incident.

    A run that was never told as an incident, such as a drain by itself, is not shown.
    """
    settings = load_settings()
    if not _shows(settings):
        return
    try:
        with open_notebook(settings, queue) as notebook, open_queue(settings, queue) as (broker, _):
            if not is_incident(notebook, run_id):
                return
            record = broker.run(run_id)
            known = standing_facts(broker, record) if record else {}
    except DlqError as exc:
        get_run_logger().warning("the incident is not shown: %s", exc)
    else:
        _show(settings, queue, run_id, known | (facts or {}))


@step("tell-outcome")
def tell_outcome(story: "Story", report: str = "") -> list[Delivery]:
    """Close the incident's message with the outcome, and tell the summary with a plot of the depth."""
    from dlq.summaries import plots  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    queue = story.record.queue
    state = outcome_state(story, settings.queue(queue))
    _show(settings, queue, story.record.run_id, outcome_facts(story, state))
    plot = plots.depth_picture(story.course, settings.zone) if _shows(settings) else None
    return _tell(settings, queue, outcome_notice(story, state, report, plot))


@step("show-verification")
def show_verification(story: "Story") -> None:
    """Bring what people see of an incident up to what a later look at its run found; other runs are not shown."""
    from dlq.incident_report import public  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    queue, run_id = story.record.queue, story.record.run_id
    with open_notebook(settings, queue) as notebook:
        if not is_incident(notebook, run_id):
            return
        public.close_page(settings, notebook, story, None)
    _show(settings, queue, run_id, outcome_facts(story, outcome_state(story, settings.queue(queue))))


def tell_failure(queue: str, run_id: str, what: str) -> list[Delivery]:
    """Tell that the work on an incident broke off, and what is to be done. No step: a failed flow run has none."""
    settings = load_settings()
    with open_notebook(settings, queue) as notebook:
        show(settings, notebook, run_id, queue, state=State.FAILED)
        return send(settings, notebook, failure_notice(queue, run_id, what))


def _shows(settings: Settings) -> bool:
    """Say whether there is anybody to show a picture or an incident to."""
    return settings.slack_token is not None


def _tell(settings: Settings, queue: str, notice: Notice) -> list[Delivery]:
    with open_notebook(settings, queue) as notebook:
        found = send(settings, notebook, notice)
    for delivery in found:
        get_run_logger().info("told to %s: %s %s", delivery.channel, delivery.reached, delivery.note)
    return found


def _show(settings: Settings, queue: str, run_id: str, facts: dict[str, Any]) -> None:
    with open_notebook(settings, queue) as notebook:
        delivery = show(settings, notebook, run_id, queue, **facts)
    if delivery.missed:
        get_run_logger().info("not shown in %s: %s", delivery.channel, delivery.note)
