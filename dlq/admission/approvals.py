"""Who has to agree to a plan, who did, and until when: kept in the queue's notebook.

A run that needs a person notes what it asks for (`ask`) and waits. Whoever answers, by whatever face (a form, a Slack
button, a command, the clock), calls `decide`: of several answers the first one stands. The run sees it (`decision`).
An answer belongs to one run and one plan hash, so a plan that has become void takes its answer with it.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from dlq.admission.plan import Plan
from dlq.config.policy_table import Policy
from dlq.engine.run import Kind
from dlq.errors import ApprovalError
from dlq.records.notebook import Notebook
from dlq.records.timeline import tell_once

_FROZEN = ConfigDict(frozen=True)
_Words = Annotated[str, StringConstraints(strip_whitespace=True)]
_WAITING = "approvals"
NOBODY = "nobody"
_NO_REASON = "no reason given"


class Answer(StrEnum):
    """What may be answered."""

    APPROVE = "approve"
    REJECT = "reject"


class Decision(BaseModel):
    """An answer: who, why, by which face. `limit` lowers what may be moved; None leaves the plan's."""

    model_config = _FROZEN

    answer: Answer
    who: _Words = Field(min_length=1, max_length=200)
    why: _Words = Field(default="", max_length=1_000)
    limit: int | None = Field(default=None, ge=1)
    by: str = ""
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def approved(self) -> bool:
        """Say whether the run may go on."""
        return self.answer is Answer.APPROVE

    @property
    def words(self) -> str:
        """Say it in one line."""
        verb = "approved" if self.approved else "rejected"
        most = f", {self.limit:,} messages at most" if self.limit else ""
        return f"{verb} by {self.who}{most}" + (f": {self.why}" if self.why else "")


class Asked(BaseModel):
    """What a run waits for: the plan, why it needs a person, until when, and the flow run that waits, if one does."""

    model_config = _FROZEN

    run_id: str
    plan: Plan
    reasons: tuple[str, ...]
    at: AwareDatetime
    until: AwareDatetime
    flow_run: str = ""


def reasons(policy: Policy, plan: Plan, level: int | None) -> tuple[str, ...]:
    """Say why a plan needs a person; empty: it may run unattended."""
    edit = plan.parameters.get("edit") or {}
    edits = any(edit.get(name) for name in ("set", "unset", "increment"))
    found = (
        (level is not None and level not in policy.unattended_levels, f"the queue is at level {level}"),
        (plan.selected > policy.approve_above, f"{plan.selected:,} messages are more than {policy.approve_above:,}"),
        (policy.approve_edits and edits, "messages are edited"),
        (policy.approve_drops and plan.kind == Kind.DISCARD, "messages are dropped"),
    )
    return tuple(why for applies, why in found if applies)


def ask(
    notebook: Notebook, run_id: str, plan: Plan, why: tuple[str, ...], wait: timedelta, flow_run: str = ""
) -> Asked:
    """Note that a run waits for an answer to a plan; the same plan again keeps its time."""
    now = datetime.now(UTC)
    new = Asked(run_id=run_id, plan=plan, reasons=why, at=now, until=now + wait, flow_run=flow_run)
    stands = Asked.model_validate_json(notebook.note_once(_topic(run_id), f"asked:{plan.hash}", new.model_dump_json()))
    notebook.note(_topic(run_id), {"plan": plan.hash})
    notebook.note(_WAITING, {run_id: plan.hash})
    text = f"waits for a person: {', '.join(why)} (plan {plan.hash})"
    tell_once(notebook, run_id, f"asked:{plan.hash}", "approval", text)
    return stands


def asked(notebook: Notebook, run_id: str) -> Asked | None:
    """Give what a run asked last, answered or not; None when it asked nothing."""
    page = notebook.notes(_topic(run_id))
    said = page.get(f"asked:{page.get('plan', '')}")
    return Asked.model_validate_json(said) if said else None


def waiting(notebook: Notebook) -> list[Asked]:
    """List what the runs of the queue wait for."""
    found = [asked(notebook, run_id) for run_id in notebook.notes(_WAITING)]
    return [one for one in found if one is not None and decision(notebook, one.run_id, one.plan.hash) is None]


def decide(notebook: Notebook, run_id: str, plan_hash: str, answer: Decision) -> Decision:
    """Answer what a run asked; give the answer that stands, which is the first one.

    ApprovalError: nobody asked, another plan is asked about by now, the time is over, or the limit raises the plan's.
    """
    question = asked(notebook, run_id)
    if question is None:
        raise ApprovalError("The run waits for no answer", run=run_id)
    if question.plan.hash != plan_hash:
        raise ApprovalError("This plan is void: the queue has changed, and the run asks about another plan", run=run_id)
    if answer.approved and answer.at > question.until:
        raise ApprovalError("The time for an answer is over", run=run_id, until=question.until.isoformat())
    if answer.limit is not None and answer.limit > question.plan.selected:
        raise ApprovalError(
            "The limit may only lower what the plan moves", run=run_id, limit=answer.limit, plan=question.plan.selected
        )
    return _settle(notebook, run_id, plan_hash, answer)


def decision(notebook: Notebook, run_id: str, plan_hash: str) -> Decision | None:
    """Give the answer to a plan of a run, None while there is none."""
    said = notebook.notes(_topic(run_id)).get(f"answer:{plan_hash}")
    return Decision.model_validate_json(said) if said else None


def close(notebook: Notebook, question: Asked, now: datetime) -> Decision | None:
    """Reject what nobody answered in time; give the answer that stands, None while there is time left."""
    stands = decision(notebook, question.run_id, question.plan.hash)
    if stands is not None or now < question.until:
        return stands
    late = Decision(answer=Answer.REJECT, who=NOBODY, why="nobody answered in time", by="time-out", at=now)
    return _settle(notebook, question.run_id, question.plan.hash, late)


def next_look(question: Asked, every: timedelta, now: datetime) -> datetime:
    """Say when a question is looked at next: at fixed moments after it, so that a retry schedules none twice."""
    if not every:
        return question.until
    number = int((now - question.at) / every) + 1
    return min(question.at + every * number, question.until)


def wake_up(notebook: Notebook, run_id: str) -> tuple[str, dict[str, object]] | None:
    """Give the flow run that waits for an answer that is there by now, and what its form is to say; None: none does."""
    question = asked(notebook, run_id)
    stands = decision(notebook, run_id, question.plan.hash) if question else None
    if question is None or stands is None or not question.flow_run:
        return None
    return question.flow_run, form_of(stands)


def form_of(answer: Decision) -> dict[str, object]:
    """Fill the form in as the answer would have been given there, where no field may be empty."""
    said = {"answer": answer.answer.value, "who": answer.who, "why": answer.why or _NO_REASON, "limit": answer.limit}
    return {name: part for name, part in said.items() if part}


def approve_at_once(notebook: Notebook, run_id: str, plan: Plan, why: tuple[str, ...], answer: Decision) -> Decision:
    """Ask and answer in one: a person at a terminal, who has seen the plan and said yes."""
    ask(notebook, run_id, plan, why, timedelta(hours=1))
    return decide(notebook, run_id, plan.hash, answer)


def read_form(said: dict[str, object]) -> Decision:
    """Read what a form sent; ApprovalError for what cannot be used, with each field and what is wrong with it."""
    try:
        return Decision.model_validate(said)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'the form'}: {error['msg']}" for error in exc.errors())
        raise ApprovalError(f"The answer cannot be used: {wrong}") from exc


def _settle(notebook: Notebook, run_id: str, plan_hash: str, answer: Decision) -> Decision:
    said = notebook.note_once(_topic(run_id), f"answer:{plan_hash}", answer.model_dump_json())
    stands = Decision.model_validate_json(said)
    tell_once(notebook, run_id, f"answer:{plan_hash}", "approval", f"{stands.words} (plan {plan_hash})", who=stands.who)
    notebook.erase(_WAITING, run_id)
    return stands


def _topic(run_id: str) -> str:
    return f"run:{run_id}:approval"
