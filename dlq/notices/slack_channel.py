"""Slack as a channel of notices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from dlq.errors import ChannelError, ChannelRefusedError

if TYPE_CHECKING:
    from dlq.notebook import Notebook
    from dlq.notices.notice import Notice
    from dlq.settings import Settings


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """The channel of the incidents."""

    client: WebClient
    channel: str
    name: str = "slack"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make it from the settings, which must name a token and a channel."""
        token = settings.slack_token.get_secret_value() if settings.slack_token else ""
        client = WebClient(token, settings.slack_url, timeout=3, retry_handlers=[])
        return cls(client, settings.slack_channel or "")

    def tell(self, notebook: Notebook, notice: Notice) -> str:
        """Post the notice."""
        del notebook
        try:
            self.client.chat_postMessage(channel=self.channel, text=f"*{notice.title}*\n{notice.text}"[:3000])
        except SlackApiError as exc:
            raise ChannelRefusedError(f"Slack answered {exc.response.get('error')}") from exc
        except (SlackClientError, OSError) as exc:
            raise ChannelError(f"Slack does not answer ({type(exc).__name__})") from exc
        return ""
