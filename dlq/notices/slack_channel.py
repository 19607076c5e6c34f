"""Slack as a channel: one message an incident, the timeline and the notices in its thread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from slack_sdk import WebClient

from dlq.errors import ChannelError
from dlq.notices.incident import note_incident, read_incident
from dlq.notices.questions import with_question
from dlq.notices.slack_blocks import SECTION, Block, incident_message, lines_message, notice_message
from dlq.notices.slack_client import call, clients
from dlq.notices.slack_message import IncidentMessage, Place
from dlq.notices.slack_text import cut, escaped
from dlq.records.timeline import Event, timeline

if TYPE_CHECKING:
    from dlq.config.settings import Settings
    from dlq.notices.notice import Notice
    from dlq.records.notebook import Notebook

_TOLD_ALREADY = timedelta(minutes=2)
_BROADCAST = frozenset({"escalation"})
"""Kinds of notices that are seen in the channel too, not in the thread only."""


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """The channel of the incidents."""

    once: WebClient
    again: WebClient
    channel: str
    mentions: dict[str, str] = field(default_factory=dict)
    name: str = "slack"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make it from the settings, which must name a token and a channel."""
        once, again = clients(settings)
        return cls(
            once,
            again,
            settings.slack_channel or "",
            {str(level): who for level, who in settings.slack_mentions.items()},
        )

    def tell(self, notebook: Notebook, notice: Notice) -> str:
        """Post a notice: in the thread of its incident's message, or by itself when it belongs to no run."""
        text, blocks = notice_message(notice, self.mentions)
        if not notice.run_id:
            place = self._post(text, blocks)
        else:
            known = {"headline": notice.title, "severity": notice.severity, "level": notice.level}
            note_incident(
                notebook, notice.run_id, **{name: value for name, value in known.items() if value is not None}
            )
            place = self._show(notebook, notice.run_id, notice.queue)
            notebook.note(f"run:{notice.run_id}:slack", {f"kind {notice.kind}": datetime.now(UTC).isoformat()})
            self._post(text, blocks, place, broadcast=notice.kind in _BROADCAST)
        return self._upload(notice, place) if notice.plot else ""

    def show(self, notebook: Notebook, run_id: str, queue: str, *, at_once: bool) -> str:
        """Bring an incident's message up to date, and its thread with the timeline; unless `at_once` not too often."""
        if not at_once and self._message(notebook, run_id).soon(datetime.now(UTC)):
            return "shown a moment ago"
        place = self._show(notebook, run_id, queue)
        self._tell_timeline(notebook, run_id, place)
        return ""

    def whisper(self, user: str, text: str) -> None:
        """Say something in the channel that only one user sees."""
        call(self.once.chat_postEphemeral, channel=self.channel, user=user, text=cut(escaped(text), SECTION))

    def _show(self, notebook: Notebook, run_id: str, queue: str) -> Place:
        text, blocks = incident_message(with_question(notebook, read_incident(notebook, run_id, queue)))
        return self._message(notebook, run_id).show(text, blocks)

    def _message(self, notebook: Notebook, run_id: str) -> IncidentMessage:
        return IncidentMessage(self.once, self.again, self.channel, notebook, run_id)

    def _post(self, text: str, blocks: list[Block], thread: Place | None = None, *, broadcast: bool = False) -> Place:
        channel = thread.channel if thread else self.channel
        said = {"channel": channel, "text": text, "blocks": blocks, "unfurl_links": False}
        if thread:
            said |= {"thread_ts": thread.ts, "reply_broadcast": broadcast}
        answer = call(self.once.chat_postMessage, **said)
        return Place(answer["channel"], answer["ts"])

    def _tell_timeline(self, notebook: Notebook, run_id: str, place: Place) -> None:
        """Put the lines of the timeline that are not there yet into the thread; notices are there by themselves."""
        topic = f"run:{run_id}:slack"
        page = notebook.notes(topic)
        marks = {_mark(event): event for event in timeline(notebook, run_id)}
        new = {mark: event for mark, event in marks.items() if mark not in page and not _was_notice(event, page)}
        if new:
            text, blocks = lines_message([_line(event) for event in new.values()])
            self._post(text, blocks, place)
            notebook.note(topic, dict.fromkeys(new, "told"))

    def _upload(self, notice: Notice, place: Place) -> str:
        """Upload the plot; what was said stands without it."""
        try:
            call(
                self.again.files_upload_v2,
                channel=place.channel,
                thread_ts=place.ts,
                content=notice.plot,
                filename=f"{notice.queue}-{notice.kind}.png",
                title=notice.title,
                alt_txt=notice.title,
            )
        except ChannelError as exc:
            return f"the plot was not uploaded: {exc.detail}"
        return ""


def _line(event: Event) -> str:
    who = f" ({event.who})" if event.who else ""
    return f"{event.at:%H:%M:%S} UTC  {event.text}{who}"


def _mark(event: Event) -> str:
    said = f"{event.at.isoformat()} {event.kind} {event.text}"
    return f"line {hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _was_notice(event: Event, page: dict[str, str]) -> bool:
    """Say whether a notice of the same kind was told at about the time of the event."""
    told = page.get(f"kind {event.kind}")
    return told is not None and abs(datetime.fromisoformat(told) - event.at) < _TOLD_ALREADY
