"""What a flow run that fails or crashes leaves behind: people who know of it."""

from datetime import UTC, datetime
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State

from dlq.run import run_id_of
from tasks.telling import tell_failure

TOLD = frozenset({"Refused", "NeedsApproval"})
"""States in which a flow run ends by itself and on purpose; people were told why."""


def tell_of_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell, as a hook of the flow, that its run ended in a failure."""
    if state.name in TOLD:
        return
    queue = str(flow_run.parameters["queue"])
    created = (flow_run.created or datetime.now(UTC)).astimezone(UTC)
    tell_failure(queue, run_id_of(queue, created, flow_run.id), f"{flow.name}: {state.message or state.name}")
