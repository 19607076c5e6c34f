"""`GET /metrics`: the queues under the names of the alert rules, and the receiver's own counts."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from deployments.receiver import exporter
from deployments.receiver.tools import Tools

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    summary="Show depths, arrivals, ages and the receiver's counts, for Prometheus",
)
async def metrics(tools: Tools) -> Response:
    """Look at every queue and give what is seen in Prometheus's text format; a queue that does not answer is absent."""
    readings = await exporter.read_all(tools.settings)
    text = exporter.render(readings, tools.counters.registry)
    return Response(text, media_type=exporter.CONTENT_TYPE)
