"""Notes of batches, written before they are published, and what they tell when a process died over them."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dlq.brokers.base import DROP, EDIT, KEEP, QUARANTINE, REDRIVE, Place
from dlq.records.ledger import ENTRY, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlq.brokers.base import Batch
    from dlq.brokers.rabbit_frames import Delivery

SUSPECT: Final = "suspect "
"""Notes of batches that may have been sent and were not confirmed have names that begin so."""
FOUND: Final = "found "
"""Beside them stand, under such names, the messages of theirs that a rollback has found."""
_PRINT: Final = 8  # bytes of a fingerprint
_HEAD: Final = struct.Struct("<BII")  # where it was taken from, messages, bytes of its actions
_PLACES: Final = tuple(Place)
_OUTSIDE: Final = 255  # it was taken from no place of the queue
_ROW: Final = 1 + _PRINT  # bytes: where a copy was found, and its fingerprint as it was sent
_BACK: Final = 254  # in the place of the former: it came back though it was confirmed
_GOES_TO: Final = {REDRIVE[0]: Place.LIVE, EDIT[0]: Place.LIVE, QUARANTINE[0]: Place.QUARANTINE}


@dataclass(frozen=True, slots=True)
class Note:
    """What is written down of a batch before it is published; `actions` are one byte a message, or one for all."""

    source: Place | None
    """Where it was taken from; None for what comes from outside."""
    prints: bytes
    """The fingerprints of its messages as they were taken."""
    actions: bytes = REDRIVE
    edited: bytes = b""
    """The fingerprints that its edited messages got."""

    @classmethod
    def of(cls, source: Place, batch: Batch, prints: bytes) -> Note:
        """Note a batch."""
        edited = b""
        if EDIT in batch.actions:
            edited = b"".join(row[2] for row in ENTRY.iter_unpack(batch.entries) if row[0] == EDIT)
        return cls(source, prints, batch.actions, edited)

    def pack(self) -> bytes:
        """Write it as the ledger keeps it."""
        source = _OUTSIDE if self.source is None else _PLACES.index(self.source)
        head = _HEAD.pack(source, len(self.prints) // _PRINT, len(self.actions))
        return head + self.prints + self.actions + self.edited

    @classmethod
    def unpack(cls, raw: bytes) -> Note:
        """Read it as the ledger keeps it."""
        source, count, actions = _HEAD.unpack_from(raw)
        prints = _HEAD.size + count * _PRINT
        place = None if source == _OUTSIDE else _PLACES[source]
        return cls(place, raw[_HEAD.size : prints], raw[prints : prints + actions], raw[prints + actions :])

    def sent(self) -> Iterable[tuple[int, bytes, bytes]]:
        """Give what was to be sent: (action, fingerprint as it was taken, fingerprint as it was sent)."""
        digests = split_prints(self.prints)
        actions = self.actions * len(digests) if len(self.actions) == 1 else self.actions
        edited = iter(split_prints(self.edited))
        for code, digest in zip(actions, digests, strict=True):
            if code != DROP[0]:
                yield code, digest, next(edited) if code == EDIT[0] else digest


class Copies:
    """What a run may have sent somewhere though its ledger does not say so, for the one who takes the run back."""

    def __init__(self, run_id: str = "", suspect: Iterable[Note] = (), confirmed: Iterable[Note] = ()) -> None:
        """Take the notes of batches that were not confirmed, and of those that may come back though they were."""
        self.run_id = run_id
        self._away: dict[Place, dict[bytes, list[bytes]]] = {place: defaultdict(list) for place in Place}
        self._here: Counter[bytes] = Counter()
        for note in suspect:
            for code, taken, sent in note.sent():
                self._here[taken] += 1
                if code != KEEP[0]:
                    self._away[_GOES_TO[code]][sent].append(taken)
        self._back = Counter(digest for note in confirmed for digest in split_prints(note.prints))

    def __bool__(self) -> bool:
        """Say whether there may be any."""
        return bool(self._here or self._back)

    def lie_in(self) -> dict[Place, int]:
        """Count how many there may be at each place that messages are sent to."""
        return {place: sum(map(len, found.values())) for place, found in self._away.items() if found}

    def find(self, place: Place, delivery: Delivery) -> bytes:
        """Say whether a message may be one, and count it off: a row to be remembered, or nothing.

        In the DLQ it is the original of one that was not found elsewhere: that may have been delivered.
        """
        digest = fingerprint(delivery.body)
        code = _PLACES.index(place)
        if place is Place.DLQ and not self._here[digest] and self._back[digest] and delivery.redelivered:
            code = _BACK
        row = bytes((code,)) + digest
        return row if self._count_off(row) else b""

    def forget(self, rows: bytes) -> None:
        """Count off what was found before."""
        for start in range(0, len(rows), _ROW):
            self._count_off(rows[start : start + _ROW])

    def _count_off(self, row: bytes) -> bool:
        code, digest = row[0], row[1:]
        if code == _BACK:
            return count_off(self._back, digest)
        place = _PLACES[code]
        if place is Place.DLQ:
            return count_off(self._here, digest)
        waiting = self._away[place].get(digest)
        if not waiting:
            return False
        count_off(self._here, waiting.pop())
        return True


def count_off(counts: Counter[bytes], digest: bytes) -> bool:
    """Count one off; say whether there was one."""
    known = counts[digest] > 0
    counts[digest] -= known
    return known


def split_prints(prints: bytes) -> list[bytes]:
    """Take the fingerprints of a batch apart."""
    return [prints[start : start + _PRINT] for start in range(0, len(prints), _PRINT)]
