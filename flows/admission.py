"""What stands between a request and its first move: pre-flight, plan, a person's answer.

While a person is waited for, the flow run is *suspended*: its process ends, so the wait holds no place of the runner,
no concurrency slot and no lock. The answer schedules the flow run again, and it goes through its steps from the
start: it looks and plans anew, and takes the answer only for a plan that still holds. A run that the ledger has begun
is asked nothing any more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.states import Cancelled, Failed
from pydantic import Field

from dlq.admission.plan import Plan
from dlq.admission.preflight import Preflight
from dlq.notices import Notice
from dlq.notices import State as Shown
from flows.identity import current_run
from tasks.admission import (
    Guard,
    Question,
    as_begun,
    ask_person,
    keep_facts,
    look_before,
    plan_run,
    take_answer,
    why_a_person,
)
from tasks.alerts import called_off
from tasks.approving import form_text, notice_text, remind_later
from tasks.following import postpone, reserve_budget
from tasks.job import Job
from tasks.telling import show_incident, tell_people

__all__ = ["Admission", "Guard", "admitted", "keep_facts", "put_off"]

_MARGIN = timedelta(hours=1)  # our own time-out comes first: after Prefect's the run could not even say why it ends


class ApprovalForm(RunInput):
    """The form in the Prefect UI: what is left empty or blank is refused there, and the run waits on."""

    answer: Literal["approve", "reject"] = Field(
        title="Answer", description="approve: the plan is carried out. reject: nothing is moved, and the run ends."
    )
    who: str = Field(
        title="Who", description="Your name. It stays in the ledger.", min_length=1, max_length=200, pattern=r"\S"
    )
    why: str = Field(
        title="Why",
        description="Say it in a few words. They stay in the ledger, and people are told.",
        min_length=1,
        max_length=1_000,
        pattern=r"\S",
    )
    limit: int = Field(
        default=0, title="Limit", description="Move at most so many messages. 0: as many as planned.", ge=0
    )


@dataclass(frozen=True, slots=True)
class Admission:
    """Either the job that may begin, or the state in which the flow run ends without a move."""

    job: Job
    ending: State[Any] | None = None
    later: datetime | None = None
    """When to come back, for an automatic run that may not begin now."""


def admitted(job: Job, guard: Guard) -> Admission:
    """Look, plan, and have a person agree where the policy wants one; nothing has moved when this ends."""
    begun = as_begun(job)
    if begun is not None:
        return Admission(begun)
    found = look_before(job, guard)
    if found.refusals and not guard.override:
        return Admission(job, _refused(job, found))
    plan = plan_run(job)
    note = called_off(job.queue, job.run_id)
    if note:
        show_incident(job.queue, job.run_id, {"state": Shown.STOPPED})
        return Admission(job, Cancelled(message=f"Nothing was moved: {note}."))
    why = why_a_person(job, plan, guard)
    admission = _answered(job, plan, why) if why else Admission(job)
    if admission.ending is not None or not guard.automatic:
        return admission
    return _within_budget(admission.job, plan)


def put_off(admission: Admission, deployment: str) -> State[Any] | None:
    """Give the state in which the flow run ends without a move; one that may begin later is scheduled anew."""
    if admission.later is not None:
        postpone(deployment, current_run().parameters, admission.later, admission.job.run_id)
    return admission.ending


def _within_budget(job: Job, plan: Plan) -> Admission:
    """Lower what an automatic run moves to what is left of this hour, or put it off."""
    wanted = plan.selected if job.limit is None else min(job.limit, plan.selected)
    allowance = reserve_budget(job, wanted)
    if allowance.later is not None:
        message = f"Nothing was moved: {allowance.why}. Again at {allowance.later:%Y-%m-%d %H:%M}Z."
        return Admission(job, Cancelled(name="Postponed", message=message), allowance.later)
    if allowance.messages is None:
        return Admission(job)
    return Admission(job.model_copy(update={"limit": min(wanted, allowance.messages)}))


def _answered(job: Job, plan: Plan, why: tuple[str, ...]) -> Admission:
    """Wait for the answer of a person, and apply it."""
    run = current_run()
    question = ask_person(job, plan, why, str(run.id))
    while question.decision is None:
        _tell_question(job, question)
        if run.deployment_id is None:
            return Admission(job, _nobody_can_answer(job, question))
        remind_later(job.queue, job.run_id, question.asked)
        form = suspend_flow_run(
            wait_for_input=ApprovalForm.with_initial_data(description=form_text(question.asked, job, question.trouble)),
            key=f"{question.asked.plan.hash}-{question.attempt}",
            timeout=int((question.asked.until - question.asked.at + _MARGIN).total_seconds()),
        )
        said = form.model_dump(include={"answer", "who", "why", "limit"})
        take_answer(job, question, said | {"limit": form.limit or None})
        question = ask_person(job, plan, why, str(run.id))
    decision = question.decision
    if not decision.approved:
        return Admission(job, _rejected(job, question))
    show_incident(job.queue, job.run_id, {"state": Shown.DRAINING})
    limit = min(filter(None, (job.limit, decision.limit)), default=None)
    return Admission(job.model_copy(update={"limit": limit}))


def _refused(job: Job, found: Preflight) -> State[Any]:
    reasons = "; ".join(found.refusals)
    title = f"{job.queue}: refused by the pre-flight"
    text = f"Nothing was moved: {reasons}. Mend it and retry the flow run, or start one with `override`."
    tell_people(job.queue, Notice("preflight", job.queue, title, text, run_id=job.run_id))
    show_incident(job.queue, job.run_id, {"state": Shown.FAILED})
    return Failed(name="Refused", message=f"Nothing was moved. {reasons}")


def _rejected(job: Job, question: Question) -> State[Any]:
    words = question.decision.words if question.decision else ""
    title = f"{job.queue}: the plan was {words}"
    tell_people(job.queue, Notice("approval", job.queue, title, "Nothing was moved.", run_id=job.run_id))
    show_incident(job.queue, job.run_id, {"state": Shown.STOPPED})
    return Cancelled(name="Rejected", message=f"Nothing was moved: plan {question.asked.plan.hash} was {words}.")


def _nobody_can_answer(job: Job, question: Question) -> State[Any]:
    """End where there is no form: a flow run without a deployment cannot be suspended."""
    return Failed(
        name="NeedsApproval",
        message=(
            f"Nothing was moved: a person has to agree to plan {question.asked.plan.hash} because"
            f" {', '.join(question.asked.reasons)}. Say `dlq approve {job.run_id}`, then retry this flow run."
        ),
    )


def _tell_question(job: Job, question: Question) -> None:
    asked = question.asked
    title = f"{job.queue}: a plan waits for a person ({', '.join(asked.reasons)})"
    tell_people(job.queue, Notice("approval", job.queue, title, notice_text(asked), run_id=job.run_id))
    show_incident(job.queue, job.run_id, {"state": Shown.WAITING})
