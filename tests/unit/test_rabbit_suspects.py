"""What a resumed pass over a RabbitMQ queue makes of messages that came back in another order."""

from collections import deque
from dataclasses import dataclass, field

import pika

from dlq.brokers.base import KEEP, REDRIVE, Place
from dlq.brokers.rabbit_frames import Delivery, packed
from dlq.brokers.rabbit_notes import Note
from dlq.brokers.rabbit_suspects import Suspects
from dlq.records.ledger import fingerprint

COUNTED = packed(pika.BasicProperties(headers={"x-delivery-count": 1}))
FRESH = packed(pika.BasicProperties())
MOVED, KEPT, OTHER = b"moved", b"kept", b"other"


@dataclass
class Front:
    """The front of a queue, all of it in hand."""

    held: deque[Delivery] = field(default_factory=deque)

    def look_ahead(self, _count: int) -> None:
        """Hold no more: there is none."""


def front(*messages: tuple[bytes, bool]) -> Front:
    """Stand messages in a queue; True: it came back."""
    return Front(
        deque(Delivery(tag, back, COUNTED if back else FRESH, body) for tag, (body, back) in enumerate(messages))
    )


def suspects() -> Suspects:
    """One batch is in the ledger, and nobody knows whether the broker heard that it is done with."""
    note = Note(Place.DLQ, fingerprint(MOVED) + fingerprint(KEPT), REDRIVE + KEEP)
    return Suspects("r1", confirmed=[note])


def test_a_pass_is_longer_by_what_was_moved_and_came_back() -> None:
    """Not by what was kept, which it looks at anyway, nor by a newer message with the same bytes."""
    assert suspects().besides(front((OTHER, False), (KEPT, True), (MOVED, True))) == 1  # type: ignore[arg-type]
    assert suspects().besides(front((OTHER, False), (MOVED, False))) == 0  # type: ignore[arg-type]


def test_what_came_back_and_was_not_met_is_found_behind_the_pass() -> None:
    """The moved one goes to the DLQ, the kept one stays; copies, which nobody had in hand, are left alone."""
    found = suspects().left(front((KEPT, False), (MOVED, True), (KEPT, True)))  # type: ignore[arg-type]
    assert [(delivery.body, kept) for delivery, kept in found] == [(MOVED, False), (KEPT, True)]
