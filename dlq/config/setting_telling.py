"""The settings of telling people: Slack, other channels, the status page."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from dlq.config.setting_types import SecretWebAddress, SecretWords, WebAddress, Words


class Telling(BaseSettings):
    """A part of `dlq.config.settings.Settings`, which gives the prefix DLQ_ and reads them."""

    # Slack: see dlq/notices
    slack_token: SecretStr | None = Field(default=None, description="Bot token (xoxb-…) of the Slack app")
    slack_channel: str | None = Field(default=None, description="Channel of the incidents: its id (C…) or #name")
    slack_url: WebAddress = Field(default="https://slack.com/api/", description="Where Slack's Web API is")
    slack_signing_secret: SecretStr | None = Field(default=None, description="Proves that a pressed button is Slack's")
    slack_approvers: Words = Field(default=(), description="Slack user ids (U…) that may approve and reject")
    slack_mentions: dict[Literal["1", "2", "3"], str] = Field(
        default_factory=dict, description="Whom a level of escalation mentions: user (U…) or group ids (S…), or here"
    )

    # Whatever else apprise has an address for
    notify_urls: SecretWords = Field(default=(), description="Addresses of other channels, in apprise's form")

    # The status page's HTTP hook: see dlq/notices/status_page.py
    status_page_url: SecretWebAddress | None = Field(default=None, description="Where a new state is sent to")
    status_page_method: Literal["POST", "PUT", "PATCH"] = "POST"
    status_page_auth: SecretStr | None = Field(default=None, description="The Authorization header, such as OAuth …")
    status_page_body: dict[str, object] = Field(
        default={"title": "{title}", "status": "{status}", "message": "{text}"},
        description="The JSON that is sent; {title}, {status}, {text}, {queue} and {run} are filled in",
    )
