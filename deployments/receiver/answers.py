"""What is answered when something is wrong: a reason in words, never a traceback, never what was sent."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

if TYPE_CHECKING:
    from deployments.receiver.tools import Receiver


RETRY_AFTER = 5
"""Seconds after which a client should try again."""
_SHOWN = 20  # problems of one body


class Problem(BaseModel):
    """Why a request was not carried out."""

    detail: str
    problems: list[str] = []


class NotNowError(Exception):
    """Something that is needed does not answer: the client should send the same again."""


class Ascii(JSONResponse):
    """JSON in ASCII: what others put into their alerts, half a surrogate pair too, can always be sent."""

    def render(self, content: Any) -> bytes:
        """Render; everything beyond ASCII is escaped."""
        return json.dumps(content).encode("ascii")


def problem(
    status: int, detail: str, problems: list[str] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Answer with a reason."""
    said = Problem(detail=detail, problems=problems or []).model_dump()
    return Ascii(said, status, dict(headers or {}))


def responses(**more: str) -> dict[int | str, dict[str, Any]]:
    """Document the answers that every guarded route can give, for its OpenAPI page."""
    known = {
        "400": "The body cannot be read.",
        "401": "The credentials are missing or wrong.",
        "408": "The body did not come in time.",
        "413": "The body is larger than 1 MB.",
        "422": "This can never work; the reason is in the body.",
        "503": "Prefect or the broker does not answer; send it again after Retry-After seconds.",
    }
    return {int(status): {"model": Problem, "description": text} for status, text in (known | more).items()}


def install(app: FastAPI) -> None:
    """Make the application answer errors in this way."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(NotNowError, _not_now)
    app.add_exception_handler(Exception, _broken)


async def _invalid(request: Request, exc: Exception) -> JSONResponse:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else []
    found = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return _count(request, problem(422, "The body is not what this address takes.", found[:_SHOWN] + more))


async def _refused(request: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, StarletteHTTPException):
        return await _broken(request, exc)
    return _count(request, problem(exc.status_code, str(exc.detail), headers=exc.headers))


async def _not_now(request: Request, exc: Exception) -> JSONResponse:
    return _count(request, problem(503, str(exc), headers={"Retry-After": str(RETRY_AFTER)}))


async def _broken(request: Request, _exc: Exception) -> JSONResponse:
    # Starlette raises the error once more, and uvicorn logs it.
    return _count(request, problem(500, "The receiver failed; its log says why."))


def _count(request: Request, answer: JSONResponse) -> JSONResponse:
    """Count what the route itself did not live to count."""
    receiver: Receiver = request.app.state.receiver
    if request.url.path == "/alerts":
        receiver.counters.posts.labels(str(answer.status_code)).inc()
    return answer


__all__ = ["RETRY_AFTER", "Ascii", "NotNowError", "Problem", "install", "problem", "responses"]
