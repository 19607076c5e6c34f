"""A batch of a RabbitMQ queue on its way, and what of it stands at the front of the queue."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.base import DROP, EDIT, KEEP, QUARANTINE, REDRIVE, Batch, Place
from dlq.brokers.rabbit_messages import deliveries, pack, to_origin, to_queue
from dlq.brokers.rabbit_notes import count_off, split_prints
from dlq.brokers.rabbit_reading import MOST_HELD
from dlq.records.ledger import ENTRY_BYTES, fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection
    from concurrent.futures import Future

    from dlq.brokers.base import Hold, Route
    from dlq.brokers.rabbit_frames import Delivery, Outgoing
    from dlq.brokers.rabbit_notes import Copies, Note
    from dlq.brokers.rabbit_reading import Pass
    from dlq.config.queues import QueueConfig

_TELLING: Final = 10  # messages that occur once, by which a batch is known again
_MIXED: Final = MOST_HELD  # how far behind its place a message may stand that a quorum queue took back
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


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch that was published, and whose confirms may be still to come."""

    hold: Hold
    route: Route
    batch: Batch
    lot: Lot
    front: Pass
    """Where it was taken from, and is to be acknowledged: on another connection its tags are other messages."""
    published: Future[Any]

    @property
    def size(self) -> int:
        """Give the bytes of its messages."""
        return sum(len(delivery.body) for delivery in self.lot.taken)


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


class Suspects:
    """Messages that an interrupted process may have moved before, by their fingerprints."""

    def __init__(self, run_id: str = "", under_way: Collection[Note] = (), confirmed: Collection[Note] = ()) -> None:
        """Take the notes of batches: those under way, and those whose acknowledgement only may be lost."""
        self._run_id = run_id
        self._under_way = Counter(digest for note in under_way for digest in split_prints(note.prints))
        self._confirmed = Counter(digest for note in confirmed for digest in split_prints(note.prints))
        self._copied = Counter(taken for note in under_way for code, taken, _ in note.sent() if code == KEEP[0])
        self._kept = {taken for note in confirmed for code, taken, _ in note.sent() if code == KEEP[0]}

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self._under_way or self._confirmed)

    def name(self, delivery: Delivery) -> str:
        """Name the run in which a message may have been moved before; "" if it was not."""
        digest = fingerprint(delivery.body)
        if count_off(self._under_way, digest) or (delivery.redelivered and count_off(self._confirmed, digest)):
            return self._run_id
        return ""

    def besides(self, front: Pass) -> int:
        """Count what stands near the front beside the messages that are left: the pass is longer by that.

        Those are copies of kept messages that were under way, and originals that were moved and came back.
        """
        total = self._copied.total() + self._confirmed.total()
        if not total:
            return 0
        front.look_ahead(total + _MIXED)
        stand = Counter(fingerprint(delivery.body) for delivery in front.held)
        back = Counter(fingerprint(delivery.body) for delivery in front.held if delivery.redelivered)
        copies = sum(min(count, max(0, stand[digest] - 1)) for digest, count in self._copied.items())
        moved = (digest for digest in self._confirmed if digest not in self._kept)
        return copies + sum(min(self._confirmed[digest], back[digest]) for digest in moved)

    def came_back(self, front: Pass) -> list[tuple[Delivery, bool]]:
        """Find near the front what was confirmed and stands there again, perhaps, though the pass is at its end.

        Beside each message stands whether it was kept. A quorum queue mixes what it takes back of several consumers.
        """
        total = self._confirmed.total()
        if not total:
            return []
        front.look_ahead(total + _MIXED)
        found = []
        for delivery in front.held:
            digest = fingerprint(delivery.body)
            if delivery.redelivered and count_off(self._confirmed, digest):
                found.append((delivery, digest in self._kept))
        return found

    def left(self, front: Pass) -> list[tuple[Delivery, bool]]:
        """Find what may have been moved before and did not come by: a quorum queue mixes what it takes back."""
        total = self._under_way.total() + self._confirmed.total()
        if not total:
            return []
        front.look_ahead(total + _MIXED)
        found = []
        for delivery in front.held:
            digest = fingerprint(delivery.body)
            if deliveries(delivery) and count_off(self._under_way, digest):
                found.append((delivery, True))
            elif deliveries(delivery) and count_off(self._confirmed, digest):
                found.append((delivery, digest in self._kept))
        return found


def acknowledge_again(front: Pass, batch: int, prints: bytes) -> bool:
    """Acknowledge a confirmed batch whose acknowledgement was lost: all of it stands at the front again.

    A quorum queue may have given it back in another order. Where it has few messages that occur once there, it cannot
    be told from newer ones with the same bytes: then they are moved again rather than lost. Says whether it was
    acknowledged.
    """
    digests = split_prints(prints)
    front.hold(2 * len(digests))
    head = list(front.held)[: 2 * len(digests)]
    stand = [fingerprint(delivery.body) for delivery in head]
    times = Counter(stand)
    found = Counter(stand[: len(digests)]) == Counter(digests)
    found = found and all(delivery.redelivered for delivery in head[: len(digests)])
    found = found and sum(times[digest] == 1 for digest in digests) >= _TELLING
    if found:
        front.acknowledge(front.take(len(digests)), batch)
    return found


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
