"""Steps around the wait for a person: the words of the form, reminders, and the time-out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import resume_flow_run
from prefect.states import Scheduled

from dlq.admission import approvals, plan_words
from dlq.admission.approvals import Asked, Decision
from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from tasks.job import Job
from tasks.retries import step

WATCH = "approval/approval"


def form_text(asked: Asked, job: Job, trouble: str = "") -> str:
    """Give the text of the form: what is asked, who wanted it, and what was wrong with the answer before."""
    request = f"{job.who}: {job.reason}" if job.reason else job.who
    return plan_words.form(asked, load_settings().zone, request=request, trouble=trouble)


def notice_text(asked: Asked) -> str:
    """Give the text of a question for a notice, in two sentences."""
    return plan_words.question(asked, load_settings().zone)


@step("remind-later")
def remind_later(queue: str, run_id: str, asked: Asked) -> None:
    """Schedule the next look at a question: after the reminder's time, at the latest when its own time is over."""
    every = load_settings().policy_of(queue).approval_reminder
    now = datetime.now(UTC)
    at = approvals.next_look(asked, every, now)
    key = f"{run_id}:{asked.plan.hash}:{at.isoformat()}"
    schedule(WATCH, {"queue": queue, "run_id": run_id}, max(at, now + timedelta(seconds=1)), key)


def schedule(deployment: str, parameters: dict[str, object], at: datetime, key: str) -> UUID | None:
    """Create a scheduled run of a deployment, once for each key; None when nobody serves it, which is logged."""
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(deployment)
        except ObjectNotFound:
            get_run_logger().warning("%s is not deployed: nothing is scheduled for %s", deployment, at.isoformat())
            return None
        run = client.create_flow_run_from_deployment(
            found.id, parameters=parameters, state=Scheduled(scheduled_time=at), idempotency_key=key
        )
    return run.id


@step("look-at-question")
def look_at_question(queue: str, run_id: str) -> tuple[Asked, Decision | None] | None:
    """Give what a run asks and the answer that stands; silence becomes a rejection when its time is over."""
    with open_notebook(load_settings(), queue) as notebook:
        asked = approvals.asked(notebook, run_id)
        return None if asked is None else (asked, approvals.close(notebook, asked, datetime.now(UTC)))


@step("wake")
def wake(asked: Asked, decision: Decision) -> bool:
    """Resume the flow run that waits for this answer; False when it waits no longer."""
    if not asked.flow_run:
        return False
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(asked.flow_run)).state
    if state is None or not state.is_paused():
        return False
    resume_flow_run(UUID(asked.flow_run), run_input=approvals.form_of(decision))
    return True
