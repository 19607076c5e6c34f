"""A batch of a RabbitMQ queue on its way, and what of it stands at the front of the queue."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.base import DROP, EDIT, KEEP, QUARANTINE, REDRIVE, Batch, Place
from dlq.brokers.rabbit_messages import pack, to_origin, to_queue
from dlq.records.ledger import ENTRY_BYTES, fingerprint

if TYPE_CHECKING:
    from dlq.brokers.base import Route
    from dlq.brokers.rabbit_frames import Delivery, Outgoing
    from dlq.brokers.rabbit_notes import Copies
    from dlq.brokers.rabbit_reading import Pass
    from dlq.brokers.rabbit_suspects import Suspects
    from dlq.config.queues import QueueConfig

_KEPT_WHOLE: Final = frozenset((EDIT[0], QUARANTINE[0], DROP[0]))  # the ledger keeps the original


@dataclass(slots=True)
class Lot:
    """A batch on its way: its messages, what is done with each and where each goes (None: nowhere)."""

    taken: list[Delivery]
    actions: bytes
    goals: list[Outgoing | None] = field(default_factory=list)
    originals: list[Any] = field(default_factory=list)
    selected: int = 0
    duplicates: int = 0
    counts_as: str = "redriven"
    back: frozenset[int] = frozenset()
    """Places of messages that the broker could not route."""
    found: dict[int, bytes] = field(default_factory=dict)
    """By place: what was found to be, perhaps, a copy that the run left which is taken back."""
    left_by: str = ""
    """That run."""

    def entries(self, packed: bytes) -> bytes:
        """Leave out the ledger entries of what was not moved."""
        if not self.back:
            return packed
        kept, entry = [], 0
        for place, code in enumerate(self.actions):
            if code == KEEP[0]:
                continue
            if place not in self.back:
                kept.append(packed[entry * ENTRY_BYTES : (entry + 1) * ENTRY_BYTES])
            entry += 1
        return b"".join(kept)

    def gone(self) -> bytes:
        """Give the fingerprints of what was not given back, where some was."""
        return b"".join(fingerprint(some.body) for place, some in enumerate(self.taken) if place not in self.back)

    def without(self, returned: list[int], sequence: int) -> Lot:
        """Give the lot as it came out when some of what was published had to come back."""
        sent = [place for place, goal in enumerate(self.goals) if goal is not None]
        back = frozenset(sent[place] for place in returned)
        lot = Lot(self.taken, self.actions, self.goals, duplicates=self.duplicates, back=back)
        lot.left_by = self.left_by
        lot.found = {place: row for place, row in self.found.items() if place not in back}
        for place, (delivery, code) in enumerate(zip(self.taken, self.actions, strict=True)):
            if code == KEEP[0] or place in back:
                continue
            if code in _KEPT_WHOLE:
                lot.originals += [f"{sequence}:{lot.selected}", pack(delivery)]
            lot.selected += 1
        return lot


class Goals:
    """Says where each message of a batch goes, and which originals are kept."""

    def __init__(self, config: QueueConfig, route: Route) -> None:
        """Take the names of the queues, and which of them a pass reads and fills."""
        names = {Place.DLQ: config.dlq, Place.LIVE: config.live, Place.QUARANTINE: config.quarantine}
        back, to = names[route.source], names[route.redrive_to]
        origin = route.redrive_to is Place.LIVE and config.redrive_to == "x-death"
        redrive = (to_origin if origin else to_queue, to)
        self._source, self._dlq = route.source, config.dlq
        self._ways = {
            KEEP[0]: (to_queue, back),
            REDRIVE[0]: redrive,
            EDIT[0]: redrive,
            QUARANTINE[0]: (to_queue, config.quarantine),
        }

    def lot(self, batch: Batch, taken: list[Delivery], suspects: Suspects, copies: Copies) -> Lot:
        """Make the lot of a batch. What it keeps that may be a copy goes to the DLQ, marked."""
        actions = batch.actions * len(taken) if len(batch.actions) == 1 else batch.actions
        lot, edited, ways = Lot(taken, actions), iter(batch.edited), self._ways
        for delivery, code in zip(taken, actions, strict=True):
            duplicate = suspects.name(delivery) if suspects else ""
            lot.duplicates += bool(duplicate)
            if code == DROP[0]:
                lot.goals.append(None)
            else:
                way, name = ways[code]
                body = next(edited) if code == EDIT[0] else delivery.body
                lot.goals.append(way(name, delivery.header, body, duplicate))
            if code in _KEPT_WHOLE:
                lot.originals += [f"{batch.sequence}:{lot.selected}", pack(delivery)]
            lot.selected += code != KEEP[0]
        if copies:
            self._find(lot, copies)
        return lot

    def _find(self, lot: Lot, copies: Copies) -> None:
        """Look in what a lot keeps for copies that the run left which is taken back."""
        for place, (delivery, code) in enumerate(zip(lot.taken, lot.actions, strict=True)):
            row = copies.find(self._source, delivery) if code == KEEP[0] else b""
            if row:
                lot.found[place], lot.left_by = row, copies.run_id
                lot.duplicates += 1
                lot.goals[place] = to_queue(self._dlq, delivery.header, delivery.body, copies.run_id)


def vanished(front: Pass, batch: Batch) -> int | None:
    """Count the oldest messages of the chunk that are gone; None when the chunk is not at the front."""
    front.hold(batch.count)
    if not batch.messages:
        return 0
    held = [delivery.body for delivery, _ in zip(front.held, range(batch.count), strict=False)]
    for gone in range(batch.count):
        if held[: batch.count - gone] == list(batch.messages[gone:]):
            return gone
    return None


def without_vanished(batch: Batch, gone: int) -> Batch:
    """Leave out what was decided about messages that are gone; the count stays, since the pass is past them."""
    if not gone:
        return batch
    actions = batch.actions * batch.count if len(batch.actions) == 1 else batch.actions
    selected, edits = gone - actions[:gone].count(KEEP), actions[:gone].count(EDIT)
    entries, edited = batch.entries[selected * ENTRY_BYTES :], batch.edited[edits:]
    return replace(batch, messages=batch.messages[gone:], actions=actions[gone:], entries=entries, edited=edited)
