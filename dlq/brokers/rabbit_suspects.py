"""Messages of a RabbitMQ queue that a process may have moved before it ended, known again by their bytes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from dlq.brokers.base import KEEP
from dlq.brokers.rabbit_messages import deliveries
from dlq.brokers.rabbit_notes import count_off, split_prints
from dlq.brokers.rabbit_reading import MOST_HELD
from dlq.records.ledger import fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection

    from dlq.brokers.rabbit_frames import Delivery
    from dlq.brokers.rabbit_notes import Note
    from dlq.brokers.rabbit_reading import Pass

_TELLING: Final = 10  # messages that occur once, by which a batch is known again
_MIXED: Final = MOST_HELD  # how far behind its place a message may stand that a quorum queue took back


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
        near = _near(front, self._copied.total() + self._confirmed.total())
        stand = Counter(digest for _, digest in near)
        back = Counter(digest for delivery, digest in near if delivery.redelivered)
        copies = sum(min(count, max(0, stand[digest] - 1)) for digest, count in self._copied.items())
        moved = (digest for digest in self._confirmed if digest not in self._kept)
        return copies + sum(min(self._confirmed[digest], back[digest]) for digest in moved)

    def came_back(self, front: Pass) -> list[tuple[Delivery, bool]]:
        """Find near the front what was confirmed and stands there again, perhaps, though the pass is at its end.

        Beside each message stands whether it was kept. A quorum queue mixes what it takes back of several consumers.
        """
        return [
            (delivery, digest in self._kept)
            for delivery, digest in _near(front, self._confirmed.total())
            if delivery.redelivered and count_off(self._confirmed, digest)
        ]

    def left(self, front: Pass) -> list[tuple[Delivery, bool]]:
        """Find what may have been moved before and did not come by: a quorum queue mixes what it takes back."""
        found = []
        for delivery, digest in _near(front, self._under_way.total() + self._confirmed.total()):
            if not deliveries(delivery):
                continue
            if count_off(self._under_way, digest):
                found.append((delivery, True))
            elif count_off(self._confirmed, digest):
                found.append((delivery, digest in self._kept))
        return found


def _near(front: Pass, wanted: int) -> list[tuple[Delivery, bytes]]:
    """Give what stands near the front, with fingerprints; nothing where nothing is looked for."""
    if not wanted:
        return []
    front.look_ahead(wanted + _MIXED)
    return [(delivery, fingerprint(delivery.body)) for delivery in front.held]


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
