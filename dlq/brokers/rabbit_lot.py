"""A batch of a RabbitMQ queue on its way, and what of it stands at the front of the queue."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.base import DROP, EDIT, KEEP, QUARANTINE, Batch
from dlq.brokers.rabbit_messages import pack
from dlq.records.ledger import ENTRY_BYTES, fingerprint

if TYPE_CHECKING:
    from dlq.brokers.rabbit_reading import Pass
    from dlq.brokers.rabbit_wire import Delivery, Outgoing

_PRINT: Final = 8  # bytes of a fingerprint


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

    def without(self, returned: list[int], sequence: int) -> Lot:
        """Give the lot as it came out when some of what was published had to come back."""
        sent = [place for place, goal in enumerate(self.goals) if goal is not None]
        back = frozenset(sent[place] for place in returned)
        lot = Lot(self.taken, self.actions, self.goals, duplicates=self.duplicates, back=back)
        for place, (delivery, code) in enumerate(zip(self.taken, self.actions, strict=True)):
            if code == KEEP[0] or place in back:
                continue
            if bytes([code]) in {EDIT, QUARANTINE, DROP}:
                lot.originals += [f"{sequence}:{lot.selected}", pack(delivery)]
            lot.selected += 1
        return lot


def acknowledge_again(front: Pass, prints: bytes) -> None:
    """Acknowledge a confirmed batch whose acknowledgement was lost: all of it stands at the front again, in order.

    Where two of its messages are alike that cannot be told from newer ones; then they are moved again rather than
    lost.
    """
    digests = split_prints(prints)
    front.hold(len(digests))
    head = list(front.held)[: len(digests)]
    again = [fingerprint(delivery.body) for delivery in head if delivery.redelivered]
    if digests and again == digests and len(set(digests)) == len(digests):
        front.acknowledge(front.take(len(digests)))


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


def split_prints(prints: bytes) -> list[bytes]:
    """Take the fingerprints of a batch apart."""
    return [prints[start : start + _PRINT] for start in range(0, len(prints), _PRINT)]
