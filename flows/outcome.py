"""How a flow run ends: completed, or failed when messages are unaccounted for."""

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed


def concluded(summary: dict[str, Any]) -> State[dict[str, Any]]:
    """Give the final state; a run whose conservation does not hold has failed, whatever else went well.

    One that its breaker has stopped, or part of it, has done what it should: it is completed, by another name.
    """
    if summary["unexplained"]:
        return Failed(
            message=f"{summary['unexplained']} messages are unexplained: {summary['conservation']}", data=summary
        )
    if summary["breaker"]:
        return Completed(name="Stopped", message=f"stopped by the breaker: {summary['breaker']}", data=summary)
    if summary["stopped"]:
        message = f"{len(summary['stopped'])} signatures stopped: {summary['conservation']}"
        return Completed(name="Partial", message=message, data=summary)
    return Completed(message=summary["conservation"], data=summary)
