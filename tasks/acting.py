"""Steps of the immediate actions: decide, act on the systems around a queue, show, and undo.

A system that stays silent or refuses does not stop the incident: the action is reported as failed.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.runtime import task_run

from dlq.actions import perform
from dlq.actions.book import Action
from dlq.actions.plan import ActionPlan, Kind, Planned, plan_actions
from dlq.actions.undo import undo_actions
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.errors import DlqError
from dlq.records.timeline import tell_once
from tasks.publishing import artifact_key
from tasks.retries import DELAYS, PASSING, step

if TYPE_CHECKING:
    from dlq.diagnosis.facts import Facts


def quarantine_of(run_id: str) -> str:
    """Name the run that sets the corrupted messages of an incident aside."""
    return f"{run_id}-quarantine"


@step("plan-actions")
def plan_immediate(queue: str, run_id: str, facts: "Facts") -> ActionPlan:
    """Decide which actions are called for, and whether the drain had better wait; the timeline says so."""
    settings = load_settings()
    plan = plan_actions(settings.queue(queue), facts)
    with open_notebook(settings, queue) as notebook, open_queue(settings, queue) as (broker, _):
        begun = broker.run(quarantine_of(run_id))
        if begun and begun.running and not any(planned.kind is Kind.QUARANTINE for planned in plan.actions):
            rest = Planned(Kind.QUARANTINE, queue, 0, "an earlier attempt moved the others, and is to be closed")
            plan = replace(plan, actions=(*plan.actions, rest))
        for number, why in enumerate(plan.hold):
            tell_once(notebook, run_id, f"hold:{number}", "hold", f"the drain had better wait: {why}")
    for line in (*(planned.summary for planned in plan.actions), *plan.hold, *plan.notes):
        get_run_logger().info("%s", line)
    return plan


@step("act", "{planned.kind} {planned.target}")
def take_action(queue: str, run_id: str, planned: Planned, who: str) -> str:
    """Scale, or raise the concurrency, once a run; when the system stays silent to the last try, say so."""
    settings = load_settings()
    with open_notebook(settings, queue) as notebook:
        try:
            action = perform.perform(settings, notebook, run_id, planned, who)
        except DlqError as exc:
            if isinstance(exc, PASSING) and (task_run.run_count or 0) <= len(DELAYS):
                raise
            action = perform.give_up(notebook, run_id, planned, who, exc.detail)
    get_run_logger().info("%s", action.summary)
    return action.summary


@step("publish-actions")
def publish_actions(queue: str, plan: ActionPlan, taken: dict[str, str]) -> dict[str, Any]:
    """Publish what was planned, and by its kind what became of it; give both as plain data."""
    rows = [
        {"action": planned.summary, "outcome": taken.get(planned.kind.value, "only shown")} for planned in plan.actions
    ]
    create_table_artifact(
        table=rows or [{"action": "none is called for", "outcome": "-"}],
        key=artifact_key("actions", queue),
        description=f"Immediate actions on {queue}" + (f"; hold: {plan.hold[0]}" if plan.hold else ""),
    )
    return {"queue": queue, "actions": rows, "hold": list(plan.hold), "notes": list(plan.notes)}


@step("undo-actions")
def put_actions_back(queue: str, run_id: str, who: str) -> list[Action]:
    """Undo the actions of a run, the newest first; what cannot be undone now is said, and stays to be undone."""
    settings = load_settings()
    with open_notebook(settings, queue) as notebook:
        undone = undo_actions(settings, notebook, settings.queue(queue), run_id, who)
    for action in undone:
        get_run_logger().info("%s", action.summary)
    return undone


@step("stop-workers")
def stop_the_workers(queue: str, run_id: str, who: str) -> str:
    """Scale the workers of a queue to 0; what `put_actions_back` of the same run scales back."""
    settings = load_settings()
    with open_notebook(settings, queue) as notebook:
        action = perform.stop(settings, notebook, settings.queue(queue), run_id, who)
    get_run_logger().info("%s", action.summary)
    return action.summary
