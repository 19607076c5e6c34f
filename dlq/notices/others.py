"""E-mail, PagerDuty, Opsgenie, Teams and the like: whatever apprise has an address for."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import apprise

from dlq.config.policy import Severity
from dlq.errors import ChannelError, ChannelRefusedError

if TYPE_CHECKING:
    from dlq.config.settings import Settings
    from dlq.notices.channels import Channel
    from dlq.notices.notice import Notice
    from dlq.records.notebook import Notebook

QUIET = frozenset({"progress"})
"""Kinds of notices that wake nobody: they are for Slack's thread only."""
_TYPES = {
    Severity.MEDIUM: apprise.NotifyType.WARNING,
    Severity.HIGH: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}

# Its log lines hold the addresses that it was given, and those hold passwords.
logging.getLogger("apprise").disabled = True


@dataclass(frozen=True, slots=True)
class Other:
    """One apprise address. `name` is its service, with a number from the second of a kind on."""

    name: str
    target: apprise.Apprise | None = field(repr=False)

    def tell(self, notebook: Notebook, notice: Notice) -> str:
        """Send the notice, unless it is of a kind that wakes nobody."""
        del notebook
        if notice.kind in QUIET:
            return "not for this channel"
        if self.target is None:
            raise ChannelRefusedError("its address in DLQ_NOTIFY_URLS is not one that apprise knows")
        kind = _TYPES.get(notice.severity, apprise.NotifyType.INFO) if notice.severity else apprise.NotifyType.INFO
        body = "\n".join(part for part in (notice.text, notice.link, notice.run_id and f"run {notice.run_id}") if part)
        title = f"[{notice.queue}] {notice.title}"
        if not self.target.notify(body=body or title, title=title, notify_type=kind, body_format="text"):
            raise ChannelError("the service did not take it")
        return ""


def others(settings: Settings) -> list[Channel]:
    """Make a channel of each address; one that cannot be read becomes one that always fails."""
    seen: Counter[str] = Counter()
    found: list[Channel] = []
    for address in settings.notify_urls:
        url = address.get_secret_value()
        service = url.partition("://")[0].lower() if "://" in url else "apprise"
        seen[service] += 1
        name = service if seen[service] == 1 else f"{service} {seen[service]}"
        found.append(Other(name, _target(url)))
    return found


def _target(url: str) -> apprise.Apprise | None:
    """Read an address; None when apprise, or the plugin that it loads for it, cannot."""
    target = apprise.Apprise()
    try:
        return target if target.add(url) else None
    except Exception:  # noqa: BLE001 - a hundred plugins of strangers, and nobody may be kept from hearing by one
        return None
