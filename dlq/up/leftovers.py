"""Flow runs that were left without a process: a SIGKILL of the runner or of `dlq up`, or a power cut, ended it.

A stop of `dlq up` leaves them so, too. Prefect would call them running for nine minutes and crashed afterwards, and no
alert starts them again, since an alert makes one run only. They are scheduled again instead: a flow run goes on under
its own ledger run, where that stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from dlq.up.errors import PrefectApiError
from dlq.up.prefect_api import PrefectApi

MOST_STARTS: Final = 10
_OURS: Final = "dlq"  # a tag of every deployment in prefect.yaml
_UNFINISHED: Final = ("RUNNING", "PENDING", "CANCELLING")


def take_up(api: PrefectApi, say: Callable[..., None]) -> None:
    """Give every unfinished flow run a state that is true; to be called while no runner is at work."""
    try:
        for found in api.flow_runs(*_UNFINISHED):
            if _OURS not in found["tags"] or not found["deployment_id"]:
                continue  # somebody's script, which may well be alive
            state = fresh_state(found)
            api.set_state(found["id"], state)
            text = f"flow run {found['name']} had lost its process: it {_OUTCOMES[state['type']]}"
            say("warning", text, flow_run=found["id"], state=state["type"])
    except PrefectApiError as exc:
        say("warning", f"flow runs of an earlier start could not be looked at: {exc}")


def in_hand(api: PrefectApi) -> list[str]:
    """Name the flow runs that have a process now; empty when Prefect does not answer."""
    with suppress(PrefectApiError):
        found = api.flow_runs("RUNNING", timeout=2)
        return [one["name"] for one in found if _OURS in one["tags"] and one["deployment_id"]]
    return []


_OUTCOMES: Final = {
    "SCHEDULED": "goes on",
    "CANCELLED": "is cancelled, as was asked",
    "CRASHED": "is marked as crashed; retry it in the UI when its cause is mended",
}


def fresh_state(found: dict[str, Any]) -> dict[str, Any]:
    """Give the state for a flow run that has no process: cancelled if that was asked, else to go on, three times."""
    if found["state"]["type"] == "CANCELLING":
        return {"type": "CANCELLED", "name": "Cancelled", "message": "Its process had ended already."}
    if found["run_count"] >= MOST_STARTS:
        return {"type": "CRASHED", "name": "Crashed", "message": "It lost its process once more."}
    return {
        "type": "SCHEDULED",
        "name": "AwaitingRetry",
        "message": "It had lost its process; it goes on where its ledger says.",
        "state_details": {"scheduled_time": datetime.now(UTC).isoformat()},
    }
