"""No request may be larger than 1 MB or dawdle, whether it says its length or comes in chunks."""

import asyncio
from dataclasses import dataclass

from fastapi.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIMIT = 1_000_000
"""Bytes of a body."""
PATIENCE = 15.0
"""Seconds for all of a body."""
_TOO_LARGE = HTTPException(413, f"The body is larger than {LIMIT:,} bytes.", {"Connection": "close"})
_TOO_SLOW = HTTPException(408, f"The body did not come within {PATIENCE:.0f} s.", {"Connection": "close"})


@dataclass(slots=True)
class BodyLimit:
    """Counts what the application reads of a body, and ends it with 413 or 408."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on with a counted body."""
        await self.app(scope, _Counted(scope, receive) if scope["type"] == "http" else receive, send)


class _Counted:
    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        self._said = int(said) if said.isdigit() else 0
        self._read = 0
        self._ended = False
        self._until: float | None = None

    async def __call__(self) -> Message:
        if self._ended:  # what comes now is only that the client has gone
            return await self._receive()
        if self._said > LIMIT:
            raise _TOO_LARGE
        loop = asyncio.get_running_loop()
        self._until = self._until or loop.time() + PATIENCE
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as exc:
            raise _TOO_SLOW from exc
        self._read += len(message.get("body", b""))
        if self._read > LIMIT:
            raise _TOO_LARGE
        self._ended = not message.get("more_body", False)
        return message
