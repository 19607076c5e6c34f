"""Send a notice through every channel: bounded in time, never in the way of the work."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.errors import ChannelError, ChannelRefusedError, DlqError
from dlq.notices.bounded import Call, LateError, within
from dlq.notices.channels import SLACK, channels, not_configured, slack
from dlq.notices.incident import note_incident, read_incident
from dlq.notices.lent import LentNotebook
from dlq.notices.notice import Delivery, Notice, Reached
from dlq.notices.patience import Patience
from dlq.records.notebook import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlq.config.settings import Settings
    from dlq.notices.channels import Channel
    from dlq.records.notebook import Notebook

_AT_ONCE = ("state", "question", "decision", "severity", "level")
"""Facts of an incident that are shown at once when they change; counts can wait some seconds."""
LONGEST = 4.0
"""Seconds that one notice may take, all channels together."""
_LOG = logging.getLogger(__name__)


def send(settings: Settings, notebook: Notebook, notice: Notice) -> list[Delivery]:
    """Tell a notice through every channel, once each; say what became of it on each.

    Never raises. A channel that failed is left alone for a while, and for the rest of the run when it is wrongly set up
    or has cost too much time already. What became of a notice is kept with its run: see `deliveries`.
    """
    absent = not_configured(settings)
    return _through(channels(settings), absent, notebook, notice)


def update_status_page(settings: Settings, notebook: Notebook, notice: Notice) -> Delivery:
    """Send a state to the status page, once; the notice's kind is the state, in the words of status pages.

    Never raises, and is as bounded as `send`.
    """
    from dlq.notices.status_page import STATUS_PAGE, StatusPage  # noqa: PLC0415 - httpx is read when it is needed

    if settings.status_page_url is None:
        return _through([], [STATUS_PAGE], notebook, notice)[0]
    return _through([StatusPage.of(settings)], [], notebook, notice)[0]


def _through(ways: Sequence[Channel], absent: Sequence[str], notebook: Notebook, notice: Notice) -> list[Delivery]:
    """Tell a notice through each of the channels that is not down and has not told it yet."""
    notebook = _steady(notebook)
    found = [Delivery(name, Reached.NOT_CONFIGURED, title=notice.title) for name in absent]
    patience = Patience(notebook, notice.run_id)
    ready: list[Channel] = []
    for channel in ways:
        if patience.told(channel.name, notice):
            found.append(Delivery(channel.name, Reached.BEFORE, title=notice.title))
        elif why := patience.down(channel.name):
            found.append(Delivery(channel.name, Reached.DOWN, why, notice.title))
        else:
            ready.append(channel)
    lent = LentNotebook(notebook)
    calls = within(LONGEST, [partial(channel.tell, lent, notice) for channel in ready])
    lent.take_back()
    found += [_settle(patience, channel.name, notice, call) for channel, call in zip(ready, calls, strict=True)]
    _keep(notebook, notice, found)
    return found


def show(
    settings: Settings, notebook: Notebook, run_id: str, queue: str, *, at_once: bool = False, **facts: Any
) -> Delivery:
    """Bring an incident's message up to date with what has become known of it: `facts` are fields of Incident.

    Only Slack shows incidents. Never raises, is bounded in time and, unless `at_once`, in number: between two changes
    of the state it shows progress every few seconds at most.
    """
    notebook = _steady(notebook)
    try:
        before = read_incident(notebook, run_id, queue)
        note_incident(notebook, run_id, **facts)
    except DlqError as exc:
        return Delivery(SLACK, Reached.FAILED, exc.detail)
    if SLACK in not_configured(settings):
        return Delivery(SLACK, Reached.NOT_CONFIGURED)
    patience = Patience(notebook, run_id)
    if why := patience.down(SLACK):
        return Delivery(SLACK, Reached.DOWN, why)
    at_once = at_once or any(name in facts and facts[name] != getattr(before, name) for name in _AT_ONCE)
    lent, channel = LentNotebook(notebook), slack(settings)
    (call,) = within(LONGEST, [lambda: channel.show(lent, run_id, queue, at_once=at_once)])
    lent.take_back()
    notice = Notice("progress", queue, f"the incident is {facts.get('state', before.state)}", run_id=run_id)
    delivery = _settle(patience, SLACK, notice, call, once=False)
    if delivery.missed:
        _keep(notebook, notice, [delivery])
    return delivery


def deliveries(notebook: Notebook, run_id: str) -> list[Delivery]:
    """Read what became of the notices of a run, in the order of time; DlqError when the notebook cannot be read."""
    return [
        Delivery(said["channel"], Reached(said["reached"]), said["note"], said["title"], entry.at)
        for entry in notebook.log(_topic(run_id))
        if (said := orjson.loads(entry.text))
    ]


def _settle(patience: Patience, channel: str, notice: Notice, call: Call[str], *, once: bool = True) -> Delivery:
    """Turn the end of a call into a delivery, and remember how the channel did."""
    if call.error is None:
        patience.sent(channel, notice if once else None, call.seconds)
        return Delivery(channel, Reached.SENT, call.value or "", notice.title)
    if isinstance(call.error, LateError):
        why = f"no answer within {LONGEST:g} s"
    elif isinstance(call.error, ChannelError):
        why = " ".join([call.error.detail, *(f"({fact})" for fact in call.error.facts.values())])
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
