"""How a flow run ends: completed, or failed when messages are unaccounted for."""

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed


def concluded(summary: dict[str, Any]) -> State[dict[str, Any]]:
    """Give the final state; a run whose conservation does not hold has failed, whatever else went well."""
    if summary["unexplained"]:
        return Failed(
            message=f"{summary['unexplained']} messages are unexplained: {summary['conservation']}", data=summary
        )
    return Completed(message=summary["conservation"], data=summary)
