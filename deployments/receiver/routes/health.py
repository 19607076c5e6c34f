"""`GET /healthz`: whether alerts can become runs."""

import asyncio

from fastapi import APIRouter, Response
from pydantic import BaseModel

from deployments.receiver import brokers
from deployments.receiver.answers import RETRY_AFTER, Ascii
from deployments.receiver.tools import Tools

_PATIENCE = 3.0

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """What answers; each entry is `ok` or says what is wrong."""

    ok: bool
    prefect: str
    queues: dict[str, str]


@router.get(
    "/healthz",
    response_model=Health,
    responses={503: {"model": Health, "description": "Prefect or a broker does not answer."}},
    summary="Say whether Prefect and the brokers answer",
)
async def healthz(tools: Tools) -> Response:
    """Ask Prefect and the broker of every queue; 503 when one does not answer."""
    names = list(tools.settings.queues)
    prefect, *queues = await asyncio.gather(
        tools.prefect.answers(_PATIENCE), *(brokers.answers(tools.settings, name, _PATIENCE) for name in names)
    )
    wrong = bool(prefect or any(queues))
    said = Health(
        ok=not wrong,
        prefect=prefect or "ok",
        queues={name: why or "ok" for name, why in zip(names, queues, strict=True)},
    )
    headers = {"Retry-After": str(RETRY_AFTER)} if wrong else None
    return Ascii(said.model_dump(), 503 if wrong else 200, headers)
