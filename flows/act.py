"""Chapter 3: the immediate actions. Growing fast: scale and raise concurrency. Corrupted: quarantine. Failing: hold.

Alert: DLQ growth over 100 messages a minute, corrupted messages, or processing failures.
Before: `dry_run` shows what would be done. Which actions are taken is said by DLQ_ACTIONS.
Settings: DLQ_KUBECONFIG or a pod's account with the Roles of deployments/kubernetes, DLQ_WORKERS_URL; `workers`,
`scale_to` and `concurrency` of the queue in dlq.toml.
Undo: the flow `rollback`, or `dlq undo RUN`, with the run id that this flow returns; an incident puts back by itself
what it scaled. A quarantine has a run of its own, RUN-quarantine, for `dlq rollback`.

Every action is written down before it is taken, with what was there before, and is taken once a run.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect import flow

from dlq.actions.plan import Kind as ActionKind
from dlq.actions.plan import Planned
from dlq.config.settings import load_settings
from dlq.engine.run import Kind
from dlq.pacing.pace import Pace
from flows import parameters as p
from flows.drain import work_through
from flows.identity import asked_at, asker, ledger_id, run_name
from tasks.acting import plan_immediate, publish_actions, quarantine_of, take_action
from tasks.diagnosing import gather_facts
from tasks.job import Job, Pick
from tasks.queues import assess_queue

if TYPE_CHECKING:
    from dlq.diagnosis.facts import Facts


@flow(name="act", flow_run_name=run_name)
def act(queue: p.QueueName, dry_run: p.DryRun = True) -> dict[str, Any]:
    """Take the actions that the state of the queue and of its workers calls for, or show them."""
    run_id = ledger_id(queue)
    facts = gather_facts(queue, assess_queue(queue))
    return take_actions(queue, run_id, facts, asker(), asked_at(), dry_run=dry_run) | {"run_id": run_id}


def take_actions(
    queue: str, run_id: str, facts: "Facts", who: str, at: datetime, *, dry_run: bool = False
) -> dict[str, Any]:
    """Do the chapter within an incident; give what was planned and what became of it."""
    plan = plan_immediate(queue, run_id, facts)
    allowed = () if dry_run else load_settings().actions
    chosen = [planned for planned in plan.actions if planned.kind.value in allowed]
    taken: dict[str, str] = {}
    for planned in chosen:
        if planned.kind is ActionKind.QUARANTINE:
            taken[planned.kind.value] = set_aside(queue, run_id, planned, who, at)
        else:
            taken[planned.kind.value] = take_action(queue, run_id, planned, who)
    return publish_actions(queue, plan, taken)


def set_aside(queue: str, run_id: str, planned: Planned, who: str, at: datetime) -> str:
    """Move the corrupted messages to the quarantine, in a run of their own; name that run."""
    job = Job(
        run_id=quarantine_of(run_id),
        queue=queue,
        kind=Kind.QUARANTINE,
        who=who,
        asked_at=at,
        reason=planned.why,
        pick=Pick(corrupted=True),
        pace=Pace.unpaced(),
    )
    work_through(job)
    return f"quarantine: done by the run {job.run_id}"
