"""Send a notice through every channel: bounded in time, never in the way of the work."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import orjson

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.errors import ChannelError, ChannelRefusedError, DlqError
from dlq.notebook import Entry
from dlq.notices.bounded import Call, LateError, within
from dlq.notices.channels import channels, not_configured
from dlq.notices.notice import Delivery, Notice, Reached
from dlq.notices.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlq.notebook import Notebook
    from dlq.notices.channels import Channel
    from dlq.settings import Settings

LONGEST = 4.0
"""Seconds that one notice may take, all channels together."""
_LOG = logging.getLogger(__name__)


def send(settings: Settings, notebook: Notebook, notice: Notice) -> list[Delivery]:
    """Tell a notice through every channel, once each; say what became of it on each.

    Never raises. A channel that failed is left alone for a while, and for the rest of the run when it is wrongly set up
    or has cost too much time already. What became of a notice is kept with its run: see `deliveries`.
    """
    notebook = _steady(notebook)
    found = [Delivery(name, Reached.NOT_CONFIGURED, title=notice.title) for name in not_configured(settings)]
    patience = Patience(notebook, notice.run_id)
    ready: list[Channel] = []
    for channel in channels(settings):
        if patience.told(channel.name, notice):
            found.append(Delivery(channel.name, Reached.BEFORE, title=notice.title))
        elif why := patience.down(channel.name):
            found.append(Delivery(channel.name, Reached.DOWN, why, notice.title))
        else:
            ready.append(channel)
    calls = within(LONGEST, [partial(channel.tell, notebook, notice) for channel in ready])
    found += [_settle(patience, channel.name, notice, call) for channel, call in zip(ready, calls, strict=True)]
    _keep(notebook, notice, found)
    return found


def deliveries(notebook: Notebook, run_id: str) -> list[Delivery]:
    """Read what became of the notices of a run, in the order of time; DlqError when the notebook cannot be read."""
    return [
        Delivery(said["channel"], Reached(said["reached"]), said["note"], said["title"], entry.at)
        for entry in notebook.log(_topic(run_id))
        if (said := orjson.loads(entry.text))
    ]


def _settle(patience: Patience, channel: str, notice: Notice, call: Call[str]) -> Delivery:
    """Turn the end of a call into a delivery, and remember how the channel did."""
    if call.error is None:
        patience.sent(channel, notice, call.seconds)
        return Delivery(channel, Reached.SENT, call.value or "", notice.title)
    if isinstance(call.error, LateError):
        why = f"no answer within {LONGEST:g} s"
    elif isinstance(call.error, ChannelError):
        why = call.error.detail
    else:
        # What a library says may hold the address that it was given, and with it a password.
        why = f"it failed with {type(call.error).__name__}"
    patience.failed(channel, why, call.seconds, lasting=isinstance(call.error, ChannelRefusedError))
    return Delivery(channel, Reached.FAILED, why, notice.title)


def _keep(notebook: Notebook, notice: Notice, found: Sequence[Delivery]) -> None:
    """Keep what became of the notice, for the report."""
    for delivery in found:
        if delivery.missed:
            _LOG.warning("%s: %r was not told to %s: %s", notice.queue, notice.title, delivery.channel, delivery.note)
        said = {"channel": delivery.channel, "reached": delivery.reached, "note": delivery.note, "title": notice.title}
        with suppress(DlqError):
            notebook.append(_topic(notice.run_id), Entry(delivery.at, orjson.dumps(said).decode()))


def _steady(notebook: Notebook) -> Notebook:
    """Give the notebook, or one in memory when it cannot be read: people hear of a broker that is down, too."""
    try:
        notebook.notes("channels")
    except DlqError:
        return MemoryNotebook()
    return notebook


def _topic(run_id: str) -> str:
    return f"run:{run_id}:deliveries" if run_id else "deliveries"
