"""The channels that carry notices: Slack, and whatever apprise has an address for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dlq.config.settings import Settings
    from dlq.notices.notice import Notice
    from dlq.notices.slack_channel import SlackChannel
    from dlq.records.notebook import Notebook

SLACK, OTHERS = "slack", "apprise"


class Channel(Protocol):
    """A way to tell people. Making one reads the libraries that it needs, so that telling is quick."""

    @property
    def name(self) -> str:
        """Give the name that people know it by, without any secret."""

    def tell(self, notebook: Notebook, notice: Notice) -> str:
        """Tell a notice; give a remark. ChannelError says what went wrong, a ChannelRefusedError that it lasts."""


def not_configured(settings: Settings) -> list[str]:
    """Name the channels that nobody set up."""
    slack = [] if settings.slack_token and settings.slack_channel else [SLACK]
    return slack + ([] if settings.notify_urls else [OTHERS])


def channels(settings: Settings) -> list[Channel]:
    """Make the channels that are set up; what a channel needs is imported here and not before."""
    found: list[Channel] = []
    if settings.slack_token and settings.slack_channel:
        found.append(slack(settings))
    if settings.notify_urls:
        from dlq.notices.others import others  # noqa: PLC0415 - apprise is read when it is needed

        found += others(settings)
    return found


def slack(settings: Settings) -> SlackChannel:
    """Make the Slack channel, which must be set up."""
    from dlq.notices.slack_channel import SlackChannel  # noqa: PLC0415 - slack-sdk is read when it is needed

    return SlackChannel.of(settings)
