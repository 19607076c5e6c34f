"""Follow-up actions: come back to what a run left, try it again, and end with an empty DLQ or a list for people.

Alert: none; an incident that leaves something schedules this, daily for a week by default.
Before: nothing; the pre-flight looks, and a signature that still fails is stopped again after its canary.
Settings: `follow_up_every`, `follow_up_for`, `quiet_hours` and `budget_per_hour` in the policy.
Undo: the flow `rollback` with the run id of the follow-up.

Retrying a failed flow run goes on under the same ledger run, where that stopped.
"""

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from dlq.engine.run import Kind
from dlq.notices import Notice
from dlq.pacing.pace import Pace
from dlq.summaries.remains import Remains
from flows import parameters as p
from flows.admission import Admission, Guard, admitted, keep_facts
from flows.alarm import tell_of_failure
from flows.drain import work_through
from flows.forms import described
from flows.identity import asked_at, ledger_id, run_name
from flows.outcome import concluded
from tasks.escalating import escalate_run
from tasks.following import note_outcome, remember_follow_up, schedule_follow_up, settle_budget, what_is_left
from tasks.job import Job, Pick
from tasks.publishing import publish_story
from tasks.queues import verify_run
from tasks.telling import show_verification, tell_people

Number = Annotated[int, described("Number", "Which follow-up of the run this is, from 1 on.", ge=1, le=10_000)]


@flow(name="follow-up", flow_run_name=run_name, on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def follow_up(
    queue: p.QueueName, run_id: p.RunId, number: Number = 1, override: p.Override = "", fixed: p.Fixed = ""
) -> Any:
    """Try a canary of what a run stopped, drain what has healed, and say what is left."""
    escalate_run(queue, run_id)
    left = what_is_left(queue, run_id)
    show_verification(verify_run(queue, run_id))
    if not left.signatures:
        return _ended(queue, run_id, number, left)
    job = Job(
        run_id=ledger_id(queue),
        queue=queue,
        kind=Kind.DRAIN,
        who=f"follow-up {number}",
        asked_at=asked_at(),
        reason=f"follow-up {number} of {run_id}",
        pick=Pick(signatures=[one.key for one in left.signatures]),
        pace=Pace.adaptive(),
    )
    remember_follow_up(queue, run_id, number, job.run_id)
    admission = admitted(job, Guard(override=override, fixed=fixed, attended=False, automatic=True))
    if admission.ending is not None:
        return _not_now(queue, run_id, number, left, admission)
    work_through(admission.job)
    keep_facts(job)
    settle_budget(job)
    summary = publish_story(verify_run(queue, job.run_id))
    _ended(queue, run_id, number, what_is_left(queue, run_id))
    return concluded(summary)


def come_back(queue: str, run_id: str) -> None:
    """Schedule the first follow-up of a run that left something."""
    if not what_is_left(queue, run_id).nothing:
        schedule_follow_up(queue, run_id, 1)


def _ended(queue: str, run_id: str, number: int, left: Remains) -> State[Any]:
    """Tell what is left: nothing, something that is tried again, or a list for people."""
    note_outcome(queue, run_id, number, left.words)
    if left.nothing:
        text = f"After follow-up {number} nothing is left of {run_id}."
        tell_people(queue, Notice("resolved", queue, f"{queue}: nothing is left", text, run_id=run_id))
        return Completed(message=text)
    at = schedule_follow_up(queue, run_id, number + 1)
    if at is None:
        _leave_to_people(queue, run_id, left)
        return Completed(message=f"For people: {left.words}")
    title = f"{queue}: follow-up {number}: {left.words}"
    tell_people(
        queue, Notice("follow-up", queue, title, f"It is looked at again at {at:%Y-%m-%d %H:%M}Z.", None, run_id)
    )
    return Completed(message=f"Left: {left.words}. Again at {at:%Y-%m-%d %H:%M}Z.")


def _leave_to_people(queue: str, run_id: str, left: Remains) -> None:
    """Tell the list of what is left, since nothing comes after this."""
    lines = [one.words for one in left.signatures]
    title = f"{queue}: {left.depth:,} messages are left for people"
    others = [f"{left.quarantine:,} in quarantine", f"{left.pending:,} wait for the workers"]
    tell_people(queue, Notice("follow-up", queue, title, "\n".join([*lines, *others]), run_id=run_id))


def _not_now(queue: str, run_id: str, number: int, left: Remains, admission: Admission) -> State[Any] | None:
    """Come back later when this was refused; one that was put off has its own moment."""
    why = (admission.ending and admission.ending.message) or ""
    note_outcome(queue, run_id, number, why, admission.later)
    at = schedule_follow_up(queue, run_id, number if admission.later else number + 1, admission.later)
    if at is None:
        _leave_to_people(queue, run_id, left)
    return admission.ending
