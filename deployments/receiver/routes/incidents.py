"""`GET /incidents/QUEUE`: the address that alerts carry, which leads to the run that they started."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import RedirectResponse

from deployments.receiver import incidents
from deployments.receiver.answers import Problem, problem
from deployments.receiver.starting import page
from deployments.receiver.tools import Tools

router = APIRouter(tags=["incidents"])


@router.get(
    "/incidents/{queue}",
    status_code=307,
    response_class=RedirectResponse,
    responses={
        404: {"model": Problem, "description": "There is no such queue, or it has had no incident."},
        503: {"model": Problem, "description": "The broker does not answer."},
    },
    summary="Go to a queue's newest incident",
)
async def newest_incident(tools: Tools, queue: Annotated[str, Path(max_length=100)]) -> Response:
    """Lead to the page of the queue's newest automatic incident in Prefect's UI."""
    if queue not in tools.settings.queues:
        return problem(404, "There is no such queue.")
    known = await tools.notebooks.use(queue, incidents.standing)
    if known.newest is None or known.newest.flow_run is None:
        return problem(404, f"Queue {queue} has had no automatic incident.")
    return RedirectResponse(page(known.newest.flow_run))
