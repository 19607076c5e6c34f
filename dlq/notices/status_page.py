"""The status page as a channel: one HTTP call for each new state that customers are to see."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from dlq.errors import ChannelError, ChannelRefusedError

if TYPE_CHECKING:
    from dlq.config.settings import Settings
    from dlq.notices.notice import Notice
    from dlq.records.notebook import Notebook

STATUS_PAGE = "status page"
_SECONDS = 3.0  # for each step of the call: to connect, to send, to be answered
_BRACES = re.compile(r"\{(\w+)\}")
_REDIRECT, _WRONG, _REST, _BROKEN = 300, 400, 429, 500


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The hook that the settings describe. The notice's kind is the state, in the words of status pages."""

    url: str = field(repr=False)
    method: str
    auth: str = field(repr=False)
    body: dict[str, object]
    name: str = STATUS_PAGE

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make it from settings that have an address."""
        url = settings.status_page_url.get_secret_value() if settings.status_page_url else ""
        auth = settings.status_page_auth.get_secret_value() if settings.status_page_auth else ""
        return cls(url, settings.status_page_method, auth, settings.status_page_body)

    def tell(self, notebook: Notebook, notice: Notice) -> str:
        """Send the state; ChannelError says what the page answered, never where it is."""
        del notebook
        said = {
            "title": notice.title,
            "status": notice.kind,
            "text": notice.text,
            "queue": notice.queue,
            "run": notice.run_id,
        }
        headers = {"Authorization": self.auth} if self.auth else {}
        try:
            with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
                answer = client.request(self.method, self.url, headers=headers, json=_filled(self.body, said))
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ChannelError(f"the status page does not answer ({type(exc).__name__})") from exc
        if answer.status_code >= _BROKEN or answer.status_code == _REST:
            raise ChannelError("the status page is out of order", status=answer.status_code)
        if answer.status_code >= _REDIRECT:
            kind = "refused" if answer.status_code >= _WRONG else "sent us elsewhere"
            raise ChannelRefusedError(f"the status page {kind}", status=answer.status_code)
        return ""


def _filled(part: Any, said: dict[str, str]) -> Any:
    """Fill the words in braces of every text; a brace that is none of ours stays."""
    if isinstance(part, str):
        return _BRACES.sub(lambda found: said.get(found[1], found[0]), part)
    if isinstance(part, dict):
        return {name: _filled(value, said) for name, value in part.items()}
    return [_filled(value, said) for value in part] if isinstance(part, list) else part
