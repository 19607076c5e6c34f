"""Flow runs that an earlier `dlq up` left without a process: a power cut or a SIGKILL ended it under them.

Prefect would call them running for nine minutes and crashed afterwards, and no alert starts them again, since an
alert makes one run only. They are scheduled again instead: a flow run goes on under its own ledger run, where that
stopped. Not so after a clean stop, which ends them first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from dlq.up.errors import PrefectApiError
from dlq.up.prefect_api import PrefectApi

MOST_STARTS: Final = 3
_UNFINISHED: Final = ("RUNNING", "PENDING", "CANCELLING")


def take_up(api: PrefectApi, say: Callable[..., None]) -> None:
    """Give every unfinished flow run a state that is true; to be called while no runner is at work."""
    try:
        for found in api.flow_runs(*_UNFINISHED):
            state = fresh_state(found)
            api.set_state(found["id"], state)
            text = f"flow run {found['name']} had lost its process: it {_OUTCOMES[state['type']]}"
            say("warning", text, flow_run=found["id"], state=state["type"])
    except PrefectApiError as exc:
        say("warning", f"flow runs of an earlier start could not be looked at: {exc}")


_OUTCOMES: Final = {
    "SCHEDULED": "goes on",
    "CANCELLED": "is cancelled, as was asked",
    "CRASHED": "is marked as crashed; retry it in the UI when its cause is mended",
}


def fresh_state(found: dict[str, Any]) -> dict[str, Any]:
    """Give the state for a flow run that has no process: cancelled if that was asked, else to go on, three times."""
    if found["state"]["type"] == "CANCELLING":
        return {"type": "CANCELLED", "name": "Cancelled", "message": "Its process had ended already."}
    if found.get("parent_task_run_id") or not found.get("deployment_id") or found.get("run_count", 0) >= MOST_STARTS:
        return {"type": "CRASHED", "name": "Crashed", "message": "Its process ended with `dlq up`."}
    return {
        "type": "SCHEDULED",
        "name": "AwaitingRetry",
        "message": "Its process ended with `dlq up`; it goes on where its ledger says.",
        "state_details": {"scheduled_time": datetime.now(UTC).isoformat()},
    }
