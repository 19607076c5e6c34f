"""What a flow run that fails or crashes leaves behind: people who know of it."""

from datetime import UTC, datetime
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State

from dlq.config.settings import load_settings
from dlq.engine.run import run_id_of
from dlq.notices import Notice
from dlq.redaction import redact
from flows.forms import ALL
from tasks.telling import tell_failure, tell_people

TOLD = frozenset({"Refused", "NeedsApproval"})
"""States in which a flow run ends by itself and on purpose; people were told why."""


def tell_of_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell, as a hook of the flow, that its run ended in a failure."""
    if state.name in TOLD:
        return
    queue = str(flow_run.parameters["queue"])
    created = (flow_run.created or datetime.now(UTC)).astimezone(UTC)
    tell_failure(queue, run_id_of(queue, created, flow_run.id), f"{flow.name}: {state.message or state.name}")


def tell_of_half_rollback(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell, as a hook of a rollback, that it broke off, and that workers which it stopped are not started again."""
    queue, undone = str(flow_run.parameters["queue"]), str(flow_run.parameters["run_id"])
    created = (flow_run.created or datetime.now(UTC)).astimezone(UTC)
    own = run_id_of(queue, created, flow_run.id)
    stopped = f"; the workers that it stopped are still stopped, until that or: dlq undo {own}"
    text = f"{flow.name}: {redact(state.message or state.name or '')}\nRetry the flow run, or: dlq rollback {undone}"
    text += stopped if flow_run.parameters.get("stop_workers") else ""
    tell_people(queue, Notice("failed", queue, f"{queue}: the rollback of {undone} broke off", text, run_id=undone))


def tell_of_missing_report(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell, as a hook of a report, that there is none: one that only stays away looks like a quiet night."""
    said = str(flow_run.parameters.get("queue", ALL))
    known = list(load_settings().queues)
    why = state.message or state.name or ""
    notice = Notice("failed", "all queues" if said == ALL else said, f"There is no {flow.name}", why)
    tell_people(said if said in known else known[0], notice)
