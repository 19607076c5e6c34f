"""Who may post: those who bring the token, or the user and password, of the settings."""

import base64
import binascii
import hmac
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import HTTPException
from fastapi.routing import APIRoute

from dlq.config.settings import Settings

_REALM = "dlq-drain"


class GuardedRoute(APIRoute):
    """A route that looks at the credentials before it reads the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the check in front of the route's own work."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            settings: Settings = request.app.state.receiver.settings
            if not admitted(settings, request.headers.get("authorization", "")):
                raise HTTPException(
                    401,
                    "The credentials are missing or wrong: see DLQ_RECEIVER_TOKEN.",
                    {"WWW-Authenticate": f'Bearer realm="{_REALM}", Basic realm="{_REALM}"'},
                )
            return await handle(request)

        return checked


def is_open(settings: Settings) -> bool:
    """Say whether anybody may post: no credentials are set."""
    return settings.receiver_token is None and settings.receiver_password is None


def admitted(settings: Settings, header: str) -> bool:
    """Compare an Authorization header with the settings, in a time that tells nothing of how much of it was right."""
    if is_open(settings):
        return True
    scheme, _, given = header.partition(" ")
    given = given.strip()
    if scheme.lower() == "bearer" and settings.receiver_token is not None:
        return _same(given, settings.receiver_token.get_secret_value())
    if scheme.lower() == "basic" and settings.receiver_password is not None:
        try:
            pair = base64.b64decode(given, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            return False
        return _same(pair, f"{settings.receiver_user}:{settings.receiver_password.get_secret_value()}")
    return False


def _same(given: str, expected: str) -> bool:
    # Both are digested first: compare_digest tells lengths apart, and takes no text that is not ASCII.
    return hmac.compare_digest(_digest(given), _digest(expected))


def _digest(text: str) -> bytes:
    return hmac.digest(b"dlq-drain", text.encode("utf-8", "surrogateescape"), "sha256")
