"""Steps between a request and its first move: pre-flight, plan, and a person's answer. None of them holds a lock."""

import time
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from pydantic import BaseModel, ConfigDict

from dlq.admission import approvals, gate, plan_words
from dlq.admission.approvals import Asked, Decision
from dlq.admission.plan import Plan, changed
from dlq.admission.preflight import Preflight
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.engine.discard import refuse_everything
from dlq.errors import ApprovalError, RefusedError
from dlq.records.timeline import tell_once
from tasks.job import Job
from tasks.publishing import artifact_key
from tasks.retries import step


class Guard(BaseModel):
    """What a request says about the guards in its way.

    `attended`: a person started it and will look at it. `by_hand`: starting it was that person's decision about just
    these messages, which is all that an answer could say.
    """

    model_config = ConfigDict(frozen=True)

    override: str = ""
    fixed: str = ""
    attended: bool = True
    by_hand: bool = False
    alert_level: int | None = None
    automatic: bool = False
    """Nobody started it: quiet hours and budgets hold."""


class Question(BaseModel):
    """What a run asks a person, and the answer that stands, None while there is none."""

    model_config = ConfigDict(frozen=True)

    asked: Asked
    decision: Decision | None
    attempt: int
    """How many answers could not be used."""
    trouble: str = ""
    """What became of the last answer, where it counts for nothing."""


@step("begun")
def as_begun(job: Job) -> Job | None:
    """Give the job as the ledger has it when an earlier attempt began it; None when nothing has begun."""
    with open_queue(load_settings(), job.queue) as (broker, _):
        record = broker.run(job.run_id)
    if record is None or not record.kind:
        return None
    get_run_logger().info("run %s began before: no guard is asked again", job.run_id)
    return job.model_copy(update={"limit": record.parameters.get("limit")})


@step("pre-flight")
def look_before(job: Job, guard: Guard) -> Preflight:
    """Look whether messages may be moved, publish what was found, and put it into the timeline."""
    settings = load_settings()
    with open_queue(settings, job.queue) as (broker, config), open_notebook(settings, job.queue) as notebook:
        refuse_everything(job.request(config))
        way = gate.Gate(settings, broker, config, notebook)
        found = way.preflight(job.request(config), time.sleep, attended=guard.attended, fixed=guard.fixed)
        try:
            facts = gate.admit(notebook, job.run_id, found, guard.override, job.who)
        except RefusedError as exc:
            get_run_logger().error("%s", exc)
            facts = {}
        if facts:
            notebook.note(_facts(job.run_id), facts)
    create_table_artifact(
        table=[
            {"check": check.name.value, "result": check.result.value, "evidence": check.evidence}
            for check in found.checks
        ],
        key=artifact_key("preflight", job.queue),
        description=plan_words.verdict(found, guard.override).removeprefix(f"Pre-flight of {job.queue}: "),
    )
    return found


@step("plan")
def plan_run(job: Job) -> Plan:
    """Say what the run would do, and publish it."""
    settings = load_settings()
    with open_queue(settings, job.queue) as (broker, config), open_notebook(settings, job.queue) as notebook:
        plan = gate.Gate(settings, broker, config, notebook).plan(job.request(config))
    create_markdown_artifact(
        markdown=plan_words.markdown(plan),
        key=artifact_key("plan", job.queue),
        description=f"{plan.kind} {plan.selected:,} of {plan.depth:,}: plan {plan.hash}",
    )
    get_run_logger().info("plan %s: %d of %d messages, %s", plan.hash, plan.selected, plan.depth, plan.pacing)
    return plan


@step("needs-a-person")
def why_a_person(job: Job, plan: Plan, guard: Guard) -> tuple[str, ...]:
    """Say why the policy wants a person's answer; empty: none, or the one who started the run has given it."""
    settings = load_settings()
    with open_queue(settings, job.queue) as (broker, config), open_notebook(settings, job.queue) as notebook:
        why = gate.Gate(settings, broker, config, notebook).reasons(plan, guard.alert_level)
        if why and guard.by_hand and not settings.policy_of(job.queue).approve_by_hand:
            gate.agreed(notebook, job.run_id, plan, why, job.who, job.reason)
            return ()
    return why


@step("ask")
def ask_person(job: Job, plan: Plan, why: tuple[str, ...], flow_run: str) -> Question:
    """Ask about a plan, or find out what became of what was asked before; a plan that is void is asked anew."""
    settings = load_settings()
    rules = settings.policy_of(job.queue)
    with open_notebook(settings, job.queue) as notebook:
        asked = approvals.asked(notebook, job.run_id)
        void = changed(asked.plan, plan, rules.material_change) if asked else ""
        if asked and void:
            text = f"plan {asked.plan.hash} is void: {void}"
            tell_once(notebook, job.run_id, f"void:{asked.plan.hash}", "approval", text)
            notebook.note(_facts(job.run_id), {"unusable": ""})
            get_run_logger().warning("%s", text)
        if asked is None or void:
            asked = approvals.ask(notebook, job.run_id, plan, why, rules.approval_timeout, flow_run)
        decision = approvals.close(notebook, asked, datetime.now(UTC))
        noted = notebook.notes(_facts(job.run_id))
    if decision is None:
        said = "plan %s waits for a person: press Resume on the page of this run, or say `dlq approve %s`"
        get_run_logger().warning(said, asked.plan.hash, job.run_id)
    trouble = f"the plan that was asked about before is void: {void}" if void else noted.get("unusable", "")
    return Question(asked=asked, decision=decision, attempt=int(noted.get("attempts", "0")), trouble=trouble)


@step("answer")
def take_answer(job: Job, question: Question, said: dict[str, object]) -> None:
    """Take what a form said as the answer; what cannot be used is told in the timeline, and asked again."""
    with open_notebook(load_settings(), job.queue) as notebook:
        try:
            answer = approvals.read_form({**said, "by": "form"})
            approvals.decide(notebook, job.run_id, question.asked.plan.hash, answer)
        except ApprovalError as exc:
            text = f"an answer could not be used: {exc.detail}"
            facts = ", ".join(f"{name} {fact}" for name, fact in exc.facts.items() if name != "run")
            trouble = f"{text} ({facts})" if facts else text
            notebook.note(_facts(job.run_id), {"attempts": str(question.attempt + 1), "unusable": trouble})
            tell_once(notebook, job.run_id, f"unusable:{question.attempt}", "approval", text)
            get_run_logger().error("%s", exc)


@step("keep-approval")
def keep_facts(job: Job) -> None:
    """Write into the ledger what was overridden, and who approved which plan; the run must have begun."""
    settings = load_settings()
    with open_notebook(settings, job.queue) as notebook, open_queue(settings, job.queue) as (broker, _):
        facts = notebook.notes(_facts(job.run_id))
        for ours in ("attempts", "unusable"):
            facts.pop(ours, None)
        asked = approvals.asked(notebook, job.run_id)
        stands = approvals.decision(notebook, job.run_id, asked.plan.hash) if asked else None
        if asked and stands:
            facts |= gate.facts(stands, asked.plan)
        if facts:
            broker.annotate(job.run_id, facts)


def _facts(run_id: str) -> str:
    return f"run:{run_id}:gate"
