"""What the public status page is told of an incident: of a severe one only, its end only when it had a beginning."""

from dlq.config.policy import Severity
from dlq.config.settings import Settings
from dlq.engine.assess import Assessment
from dlq.incident_report.drafts import PUBLIC, Draft, status_page
from dlq.incident_report.times import Times, times
from dlq.notices import Delivery, Notice, State, update_status_page
from dlq.notices.words import outcome_state
from dlq.records.notebook import Notebook
from dlq.records.timeline import timeline
from dlq.summaries.story import Story

_SEVERE = frozenset({Severity.HIGH, Severity.CRITICAL})


def open_page(settings: Settings, notebook: Notebook, found: Assessment, run_id: str) -> Delivery | None:
    """Say that something is being looked into; None for an incident that is nobody else's business."""
    if found.severity not in _SEVERE:
        return None
    alerted = next((event.at for event in timeline(notebook, run_id) if event.kind == "alert"), None)
    known = Times(found.oldest, alerted, None, None, None)
    draft = status_page(found.queue, State.ASSESSED, known, None, settings.zone)
    notebook.note(_topic(run_id), {"opened": "yes"})
    return _post(settings, notebook, found.queue, run_id, State.ASSESSED, draft)


def close_page(settings: Settings, notebook: Notebook, story: Story, before: Assessment | None) -> Delivery | None:
    """Say how it came out; None when nothing was said before."""
    run_id = story.record.run_id
    if "opened" not in notebook.notes(_topic(run_id)):
        return None
    state = outcome_state(story, settings.queue(story.record.queue))
    known = times(story, before, timeline(notebook, run_id), state)
    draft = status_page(story.record.queue, state, known, story, settings.zone)
    return _post(settings, notebook, story.record.queue, run_id, state, draft)


def _post(settings: Settings, notebook: Notebook, queue: str, run_id: str, state: State, draft: Draft) -> Delivery:
    kind = PUBLIC.get(state, "investigating")
    return update_status_page(settings, notebook, Notice(kind, queue, draft.title, draft.text, run_id=run_id))


def _topic(run_id: str) -> str:
    return f"run:{run_id}:status_page"
