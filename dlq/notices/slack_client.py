"""Calls of Slack's Web API: quick, honest about what went wrong, and patient with its rate limits as far as we can."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)

from dlq.errors import ChannelError, ChannelRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_sdk.http_retry.request import HttpRequest
    from slack_sdk.http_retry.response import HttpResponse
    from slack_sdk.http_retry.state import RetryState

    from dlq.config.settings import Settings

LONGEST_REST = 2
"""Seconds of rest that Slack may ask of us; when it wants more, the notice goes without Slack."""
_SOCKET = 2  # seconds; the SDK's own measure, for each wait on the socket
_PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_ABOUT_ONE = frozenset({"invalid_blocks", "msg_too_long", "no_text", "message_not_found", "thread_not_found"})
"""Errors about one message; any other (token, channel, scope, archived ...) meets the next message, too."""

_QUIET = logging.getLogger(f"{__name__}.sdk")
_QUIET.addHandler(logging.NullHandler())
_QUIET.setLevel(logging.CRITICAL)
_QUIET.propagate = False  # the SDK logs each failure as an error with the address; ours says it once, in one line


class ShortRestHandler(RateLimitErrorRetryHandler):
    """The SDK's handler of 429, for rests that are short enough to wait for."""

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        asked = super()._can_retry(state=state, request=request, response=response, error=error)
        return asked and response is not None and _rest(dict(response.headers)) <= LONGEST_REST


def clients(settings: Settings) -> tuple[WebClient, WebClient]:
    """Make two clients: one for what must not be done twice, and one that also repeats after a fault."""
    token = settings.slack_token.get_secret_value() if settings.slack_token else ""
    again = [ShortRestHandler(max_retry_count=1), ConnectionErrorRetryHandler(), ServerErrorRetryHandler()]
    once = WebClient(token, settings.slack_url, timeout=_SOCKET, retry_handlers=again[:1], logger=_QUIET)
    return once, WebClient(token, settings.slack_url, timeout=_SOCKET, retry_handlers=again, logger=_QUIET)


def call(method: Callable[..., Any], **said: Any) -> dict[str, Any]:
    """Call a method of a client and give its answer; ChannelError says in our words what went wrong."""
    try:
        answer: dict[str, Any] = method(**said).data
    except SlackApiError as exc:
        raise _refusal(exc) from exc
    except (SlackClientError, OSError, ValueError) as exc:  # a proxy's page is a JSONDecodeError
        raise ChannelError(f"Slack does not answer ({type(exc).__name__})") from exc
    return answer


def error_code(refused: ChannelError) -> str:
    """Give Slack's own word for what it refused."""
    return str(refused.facts.get("code", ""))


def _refusal(exc: SlackApiError) -> ChannelError:
    response = exc.response
    status = getattr(response, "status_code", 200)
    code = str(response.get("error") or "") if isinstance(getattr(response, "data", None), dict) else ""
    code = code if re.fullmatch("[a-z_]+", code) else ""  # a page of a proxy is no word of Slack's
    if status == 429 or code in {"ratelimited", "rate_limited"}:  # noqa: PLR2004 - HTTP's number for it
        rest = _rest(dict(getattr(response, "headers", None) or {}))
        return ChannelError(f"Slack asks for {rest} s of rest")
    if status >= 500 or code in _PASSING or not code:  # noqa: PLR2004 - HTTP's server errors
        return ChannelError("Slack is out of order", status=status)
    if code in _ABOUT_ONE:
        return ChannelError("Slack refused this message", code=code)
    return ChannelRefusedError("Slack refused", code=code)


def _rest(headers: dict[str, Any]) -> int:
    """Read Retry-After, in seconds; an answer without it means one."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) else value)
            return int(text) if text.isdigit() else 1
    return 1
