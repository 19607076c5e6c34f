"""The one message of an incident: which it is stands in the notebook, so that every process updates the same."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from dlq.errors import ChannelError, ChannelRefusedError
from dlq.notices.slack_client import call, error_code

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from dlq.notices.slack_blocks import Block
    from dlq.records.notebook import Notebook

CLAIM = timedelta(seconds=15)
"""How long a process that means to post is believed to be at it."""
GAP = timedelta(seconds=5)
"""Progress is shown at most this often; Slack allows some 50 updates a minute."""
_LOOKS, _PAUSE = 8, 0.2
EVENT = "dlq_incident"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message is in Slack."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class IncidentMessage:
    """The message of a run's incident.

    Slack has no posting that is done once only. So a process first claims the posting in the notebook; one that
    died between the two leaves a stale claim, and the next looks through the channel for what may have been posted,
    by the run id in the message's metadata, before it posts.
    """

    once: WebClient
    again: WebClient
    channel: str
    notebook: Notebook
    run_id: str

    def place(self) -> Place | None:
        """Say where the message is, if it has been posted."""
        page = self.notebook.notes(self.topic)
        return Place(page["channel"], page["ts"]) if "ts" in page else None

    def show(self, text: str, blocks: list[Block]) -> Place:
        """Post the message, or bring the posted one up to date."""
        place = self.place()
        if place is not None:
            return self._update(place, text, blocks)
        generation = self._claim()
        if generation is None:
            return self._update(self._await(), text, blocks)
        return self._post(generation, text, blocks)

    def soon(self, now: datetime) -> bool:
        """Say whether the message was brought up to date a moment ago."""
        shown = self.notebook.notes(self.topic).get("shown_at")
        return shown is not None and now - datetime.fromisoformat(shown) < GAP

    def _claim(self) -> int | None:
        """Claim the posting; give the claim's number, or None when another process is at it."""
        mine = f"{datetime.now(UTC).isoformat()} {secrets.token_hex(4)}"
        for generation in range(1, 1_000):
            stands = self.notebook.note_once(self.topic, f"claim {generation}", mine)
            if stands == mine:
                return generation
            since = stands.partition(" ")[0]
            if since and datetime.now(UTC) - datetime.fromisoformat(since) < CLAIM:
                return None
        raise ChannelError("too many attempts to post the incident's message")

    def _post(self, generation: int, text: str, blocks: list[Block]) -> Place:
        if generation > 1 and (found := self._find()):
            self._remember(found, "")
            return self._update(found, text, blocks)
        metadata = {"event_type": EVENT, "event_payload": {"run_id": self.run_id}}
        try:
            answer = call(
                self.once.chat_postMessage,
                channel=self.channel,
                text=text,
                blocks=blocks,
                metadata=metadata,
                unfurl_links=False,
            )
        except ChannelError as exc:
            if isinstance(exc, ChannelRefusedError) or error_code(exc):  # surely not posted: the next may try at once
                self.notebook.note(self.topic, {f"claim {generation}": ""})
            raise
        place = Place(answer["channel"], answer["ts"])
        self._remember(place, _digest(text, blocks))
        return place

    def _update(self, place: Place, text: str, blocks: list[Block]) -> Place:
        """Replace what the message says, unless it says that already; one that people deleted is posted anew."""
        digest = _digest(text, blocks)
        if self.notebook.notes(self.topic).get("shown") == digest:
            return place
        try:
            call(self.again.chat_update, channel=place.channel, ts=place.ts, text=text, blocks=blocks)
        except ChannelError as exc:
            if error_code(exc) != "message_not_found":
                raise
            self.notebook.erase(self.topic)
            return self._post(1, text, blocks)
        self._remember(place, digest)
        return place

    def _await(self) -> Place:
        """Wait a moment for the process that is posting."""
        for _ in range(_LOOKS):
            time.sleep(_PAUSE)
            if place := self.place():
                return place
        raise ChannelError("another process is posting the incident's message")

    def _find(self) -> Place | None:
        """Look for a message that was posted but not written down; None also when Slack lets us not look."""
        first = self.notebook.notes(self.topic).get("claim 1", "").partition(" ")[0]
        oldest = datetime.fromisoformat(first) if first else datetime.now(UTC)
        try:
            answer = call(
                self.again.conversations_history,
                channel=self.channel,
                oldest=str((oldest - timedelta(minutes=1)).timestamp()),
                include_all_metadata=True,
                limit=200,
            )
        except ChannelRefusedError:  # no scope for it, or the channel is known by its name only
            return None
        for message in answer.get("messages", []):
            if message.get("metadata", {}).get("event_payload", {}).get("run_id") == self.run_id:
                return Place(self.channel, message["ts"])
        return None

    def _remember(self, place: Place, digest: str) -> None:
        now = datetime.now(UTC).isoformat()
        said = {"channel": place.channel, "ts": place.ts, "shown": digest, "shown_at": now}
        self.notebook.note(self.topic, said)

    @property
    def topic(self) -> str:
        """Name the page that says where the message is."""
        return f"run:{self.run_id}:slack"


def _digest(text: str, blocks: list[dict[str, Any]]) -> str:
    return hashlib.sha256(orjson.dumps([text, blocks])).hexdigest()[:16]
