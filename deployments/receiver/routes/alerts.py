"""`POST /alerts`: the webhook of Alertmanager."""

import time

from fastapi import APIRouter, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBearer
from pydantic import BaseModel

from deployments.receiver.access import GuardedRoute
from deployments.receiver.answers import Ascii, problem, responses
from deployments.receiver.intake import take_in
from deployments.receiver.outcomes import Outcome, Result
from deployments.receiver.payload import Payload
from deployments.receiver.tools import LOG, Tools

# The check itself is the route's; these say on the OpenAPI page what it wants.
_CREDENTIALS = [
    Security(HTTPBearer(auto_error=False, description="DLQ_RECEIVER_TOKEN")),
    Security(HTTPBasic(auto_error=False, description="DLQ_RECEIVER_USER and DLQ_RECEIVER_PASSWORD")),
]
_NEVER = {Outcome.NO_QUEUE, Outcome.REFUSED}


class AlertResult(BaseModel):
    """What became of one alert on one queue."""

    alert: str
    fingerprint: str
    queue: str
    outcome: Outcome
    run_id: str
    link: str
    note: str


class Accepted(BaseModel):
    """Every run that the alerts ask for is durably created, by this post or an earlier one."""

    results: list[AlertResult]


router = APIRouter(route_class=GuardedRoute, tags=["alerts"])


@router.post(
    "/alerts",
    response_model=Accepted,
    responses=responses(),
    dependencies=_CREDENTIALS,
    summary="Take in alerts",
    response_description="Each run that the alerts ask for is durably created, or was before.",
)
async def post_alerts(payload: Payload, tools: Tools) -> Response:
    """Start an incident for each queue that the firing alerts are about, or let them join the one that goes on.

    Resolved alerts call their incident off, or end it after the wave in hand. Sending the same again does nothing more.
    """
    began = time.perf_counter()
    if payload.truncated_alerts:
        tools.counters.truncated.inc(payload.truncated_alerts)
        LOG.warning("Alertmanager left %d alerts out of a group: see max_alerts", payload.truncated_alerts)
    answer = _answer(await take_in(tools, payload.alerts))
    tools.counters.seconds.observe(time.perf_counter() - began)
    tools.counters.posts.labels(str(answer.status_code)).inc()
    return answer


def _answer(results: list[Result]) -> JSONResponse:
    impossible = [result for result in results if result.outcome in _NEVER]
    if impossible:
        done = len(results) - len(impossible)
        reasons = list(dict.fromkeys(result.note for result in impossible))[:20]
        said = f"{len(impossible)} of the alerts can never start a run; {done} others are dealt with."
        return problem(422, said, reasons)
    shown = [
        AlertResult(
            alert=result.alert.name,
            fingerprint=result.alert.identity,
            queue=result.queue,
            outcome=result.outcome,
            run_id=result.run_id,
            link=result.link,
            note=result.note,
        ).model_dump(mode="json")
        for result in results
    ]
    return Ascii({"results": shown})
