"""Reading a RabbitMQ queue, which has no way to look without taking: two ways to take and give back."""

from __future__ import annotations

import tempfile
from collections import deque
from typing import TYPE_CHECKING, Final

from dlq.brokers.rabbit_channels import Stream
from dlq.errors import BrokerUnreachableError, DeliveryLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dlq.brokers.rabbit_wire import Delivery, RabbitWire

_FIRST: Final = 20  # messages that may come before we know how large they are
_MOST: Final = 2_000
_BYTES: Final = 32 * 1024 * 1024  # about what is on its way to us at most
_PATIENCE: Final = 0.25  # seconds without a message, after which we ask whether there is one
_PREFETCH: Final = 65_535  # the most that the protocol can say
_TRIES: Final = 120
DELIVERIES: Final = 5
"""A message that its (quorum) queue has delivered this often is not looked at again: limits begin at about ten."""


class Intake:
    """Takes messages of a queue in their order, as fast as their size allows."""

    def __init__(self, wire: RabbitWire, queue: str, ready: Callable[[], int]) -> None:
        """Begin to consume; `ready` counts what the broker still has for us."""
        self._stream = Stream(wire, queue, _FIRST)
        self._queue = queue
        self._ready = ready
        self._limit = _FIRST
        self._out = self._seen = self._bytes = 0

    @property
    def room(self) -> int:
        """Count the messages that may still come before some are settled."""
        return self._limit - self._out

    @property
    def waiting(self) -> int:
        """Count the messages that have come and were not taken."""
        return self._stream.waiting

    def make_room(self, count: int) -> None:
        """Let at least `count` more messages come."""
        self._widen(self._out + count)

    def take(self) -> Delivery | None:
        """Wait for the next message; None when the queue has no more."""
        for _ in range(_TRIES):
            delivery = self._stream.next(_PATIENCE)
            if delivery is None and not self._ready():
                delivery = self._stream.next(0)
                if delivery is None:
                    return None
            if delivery is not None:
                self._learn(delivery)
                return delivery
        raise BrokerUnreachableError(f"RabbitMQ has messages in {self._queue}, but does not deliver them.")

    def acknowledge(self, tag: int, count: int) -> None:
        """Acknowledge all messages up to this one, which are `count`."""
        self._out -= count
        self._stream.acknowledge(tag)

    def acknowledge_each(self, tags: Sequence[int]) -> None:
        """Acknowledge single messages."""
        self._out -= len(tags)
        self._stream.settle_each(tags, back=False)

    def give_back(self, tags: Sequence[int]) -> None:
        """Give single messages back to the queue."""
        self._out -= len(tags)
        self._stream.settle_each(tags, back=True)

    def close(self) -> None:
        """Give back what is not acknowledged."""
        self._stream.close()

    def _learn(self, delivery: Delivery) -> None:
        """Widen the stream once it is known how large messages are."""
        self._out += 1
        self._seen += 1
        self._bytes += len(delivery.body)
        if self._seen == _FIRST:
            size = max(1, self._bytes // self._seen)
            self._widen(min(_MOST, _BYTES // size))

    def _widen(self, limit: int) -> None:
        while self._limit < limit:
            more = min(limit - self._limit, _PREFETCH)
            self._stream.widen(more)
            self._limit += more


class Pass:
    """The front of a queue, taken and held until each message is settled, the oldest first."""

    def __init__(self, intake: Intake) -> None:
        """Work on an intake."""
        self._intake = intake
        self.held: deque[Delivery] = deque()

    @property
    def waiting(self) -> int:
        """Count the messages that have come to us and are not yet settled or on their way."""
        return len(self.held) + self._intake.waiting

    def hold(self, count: int) -> None:
        """Hold `count` messages, or as many as there are."""
        self._intake.make_room(count - len(self.held))
        while len(self.held) < count:
            delivery = self._intake.take()
            if delivery is None:
                return
            self.held.append(delivery)

    def bodies(self, skip: int, count: int, most_bytes: int) -> list[bytes]:
        """Give the bodies of held messages; fewer when they are large or many are unsettled."""
        found: list[bytes] = []
        size = 0
        for place in range(skip, skip + count):
            if place >= len(self.held) and (not found or self._intake.room > 0):
                self.hold(place + 1)
            if place >= len(self.held) or (found and size + len(self.held[place].body) > most_bytes):
                break
            found.append(self.held[place].body)
            size += len(found[-1])
        return found

    def take(self, count: int) -> list[Delivery]:
        """Take the oldest messages out of hand, to be settled later."""
        return [self.held.popleft() for _ in range(count)]

    def acknowledge(self, taken: Sequence[Delivery]) -> None:
        """Acknowledge the oldest messages that were taken and not settled."""
        if taken:
            self._intake.acknowledge(taken[-1].tag, len(taken))

    def give_back(self, taken: Sequence[Delivery], back: Collection[int]) -> None:
        """Settle messages one by one: those at the places `back` go back to the queue, the others are acknowledged."""
        self._intake.acknowledge_each([some.tag for place, some in enumerate(taken) if place not in back])
        self._intake.give_back([some.tag for place, some in enumerate(taken) if place in back])

    def close(self) -> None:
        """Give back what is held."""
        self._intake.close()
        self.held.clear()


class Spool:
    """What lay in a queue at one moment, read once into a temporary file, in which one may look as one likes.

    The queue's messages are held meanwhile and then given back: they take their old places in a classic queue, and
    are marked as redelivered. Memory grows by eight bytes a message.
    """

    def __init__(self, begin: Callable[[], Intake], depth: int) -> None:
        """Read as far as is asked for, up to `depth` messages; nothing is taken before that."""
        self._begin = begin
        self._intake: Intake | None = None
        self._depth = depth
        self._file = tempfile.TemporaryFile(prefix="dlq-spool-")  # noqa: SIM115 - closed by `close`
        self._ends: list[int] = []

    def __len__(self) -> int:
        """Count the messages that there were."""
        return self._depth

    def bodies(self, first: int, count: int) -> list[bytes]:
        """Give messages by their place from the consumer's end, the oldest first."""
        self._reach(first + count)
        found = []
        for place in range(max(0, first), min(first + count, len(self._ends))):
            start = self._ends[place - 1] if place else 0
            self._file.seek(start)
            found.append(self._file.read(self._ends[place] - start))
        return found

    def lengths(self, places: list[int]) -> list[int]:
        """Measure those of the messages that were read already; 0 for the others."""
        known = len(self._ends)
        return [
            self._ends[place] - (self._ends[place - 1] if place else 0) if 0 <= place < known else 0 for place in places
        ]

    def close(self) -> None:
        """Give the messages back, and forget them."""
        self._give_back()
        self._file.close()

    def _reach(self, place: int) -> None:
        self._file.seek(0, 2)
        if self._intake is None and len(self._ends) < min(place, self._depth):
            self._intake = self._begin()
            self._intake.make_room(self._depth)
        while len(self._ends) < min(place, self._depth):
            delivery = self._intake.take() if self._intake else None
            if delivery is None:
                self._depth = len(self._ends)
                break
            self._check(delivery)
            self._file.write(delivery.body)
            self._ends.append(self._file.tell())
        if len(self._ends) == self._depth:
            self._give_back()

    def _give_back(self) -> None:
        if self._intake is not None:
            self._intake.close()
            self._intake = None

    def _check(self, delivery: Delivery) -> None:
        """Look no further where looking would cost messages: quorum queues count each delivery."""
        headers = delivery.properties.headers or {}
        if int(headers.get("x-delivery-count") or 0) >= DELIVERIES:
            self.close()
            raise DeliveryLimitError
