"""Reading a RabbitMQ queue, which has no way to look without taking: two ways to take and give back."""

from __future__ import annotations

import tempfile
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from dlq.brokers.rabbit_channels import Stream
from dlq.brokers.rabbit_messages import deliveries
from dlq.errors import BrokerUnreachableError, DeliveryLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dlq.brokers.rabbit_frames import Delivery
    from dlq.brokers.rabbit_wire import RabbitWire

_FIRST: Final = 10  # messages that may come before we know how large they are, and how often they were delivered
MOST_HELD: Final = 8_000
_MOST: Final = (MOST_HELD, 1_000, 300, 100, 30)  # at once, by how often the broker counts that they were delivered
_BYTES: Final = 32 * 1024 * 1024  # about what is on its way to us at most
_PATIENCE: Final = 0.25  # seconds without a message, after which we ask whether there is one
_PREFETCH: Final = 65_535  # the most that the protocol can say
_TRIES: Final = 120
DELIVERIES: Final = 5
"""A message that its (quorum) queue has delivered this often is not looked at again: limits begin at about ten."""


class Intake:
    """Takes messages of a queue in their order, as fast as their size allows.

    What is taken and given back counts as delivered once more in a quorum queue, and from RabbitMQ 4.0 on what was
    delivered twenty times is dropped. So the more often the first messages were delivered, the fewer are taken.
    """

    def __init__(self, wire: RabbitWire, queue: str, ready: Callable[[], int], *, eager: bool) -> None:
        """Begin to consume; `ready` counts what the broker still has for us. Eager: take more than was asked for."""
        self._stream = Stream(wire, queue, _FIRST)
        self._queue = queue
        self._ready = ready
        self._limit = _FIRST
        self._eager = eager
        self._out = self._seen = self._bytes = 0

    @property
    def room(self) -> int:
        """Count the messages that may still come before some are settled."""
        return self._limit - self._out

    @property
    def waiting(self) -> int:
        """Count the messages that have come and were not taken."""
        return self._stream.waiting

    def count(self) -> int:
        """Count what is ready in the queue, when all that was not ready has come to us."""
        return self._stream.count()

    def age(self) -> float:
        """Give the seconds since the oldest message came that is not settled; 0 without one."""
        return self._stream.age(self._seen - self._out)

    def make_room(self, count: int) -> None:
        """Let at least `count` more messages come."""
        self._widen(self._out + count)

    def take(self, wanted: int = 1) -> list[Delivery]:
        """Take all that has come; wait for a message, and a moment for `wanted`; none when the queue has no more."""
        for _ in range(_TRIES):
            found = self._stream.some(_PATIENCE, min(wanted, self.room))
            if not found and not self._ready():
                found = self._stream.some(0)
                if not found:
                    return []
            if found:
                self._learn(found)
                return found
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

    def _learn(self, found: list[Delivery]) -> None:
        """Widen the stream once it is known how large messages are, and how tired of being delivered."""
        first = self._eager and self._seen < _FIRST <= self._seen + len(found)
        self._out += len(found)
        self._seen += len(found)
        self._bytes += sum(len(delivery.body) for delivery in found)
        if first:
            before = max(deliveries(delivery) for delivery in found)
            most = _MOST[before] if before < len(_MOST) else _FIRST
            self._widen(min(most, _BYTES // max(1, self._bytes // self._seen)))

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
        self.taken = 0
        """How many messages were taken out of hand."""
        self.unheard: list[int] = []
        """The batches that were acknowledged since the broker was last known to have heard all of it."""

    @property
    def reach(self) -> int:
        """Count the messages that are held, or may be without settling some."""
        return len(self.held) + self._intake.room

    def count(self) -> tuple[int, int]:
        """Count (what is ready in the queue, what has come to us and is not taken out of hand)."""
        ready = self._intake.count()
        return ready, len(self.held) + self._intake.waiting

    def age(self) -> float:
        """Give the seconds since the oldest message came that is not settled; 0 without one."""
        return self._intake.age()

    def hold(self, count: int) -> None:
        """Hold `count` messages, or as many as there are."""
        self._intake.make_room(count - len(self.held))
        self._fill(count)

    def look_ahead(self, count: int) -> None:
        """Hold `count` messages, but no more than are held already where some come near a delivery limit by that."""
        self.hold(1)
        if all(deliveries(delivery) < DELIVERIES for delivery in self.held):
            self.hold(count)

    def bodies(self, skip: int, count: int, most_bytes: int) -> list[bytes]:
        """Give the bodies of held messages; fewer when they are large or many are unsettled."""
        self._fill(skip + count)
        if skip >= len(self.held):
            self.hold(skip + 1)
        found: list[bytes] = []
        size = 0
        for delivery in islice(self.held, skip, skip + count):
            size += len(delivery.body)
            if found and size > most_bytes:
                break
            found.append(delivery.body)
        return found

    def take(self, count: int) -> list[Delivery]:
        """Take the oldest messages out of hand, to be settled later."""
        self.taken += count
        return [self.held.popleft() for _ in range(count)]

    def acknowledge(self, taken: Sequence[Delivery], batch: int) -> None:
        """Acknowledge the oldest messages that were taken and not settled; they are `batch`."""
        if taken:
            self.unheard.append(batch)
            self._intake.acknowledge(taken[-1].tag, len(taken))

    def make_sure(self) -> list[int]:
        """Wait until the broker has heard the acknowledgements, and give their batches.

        They vanish with a connection that is lost; BrokerUnreachableError when it was.
        """
        if self.unheard:
            self._intake.count()  # is answered behind them
        heard, self.unheard = self.unheard, []
        return heard

    def acknowledge_some(self, some: Collection[Delivery]) -> None:
        """Acknowledge messages that are held, wherever among them they stand."""
        tags = {delivery.tag for delivery in some}
        self._intake.acknowledge_each(sorted(tags))
        self.held = deque(delivery for delivery in self.held if delivery.tag not in tags)

    def give_back(self, taken: Sequence[Delivery], back: Collection[int], batch: int) -> None:
        """Settle messages one by one: those at the places `back` go back to the queue, the others are acknowledged."""
        self.unheard.append(batch)
        self._intake.acknowledge_each([some.tag for place, some in enumerate(taken) if place not in back])
        self._intake.give_back([some.tag for place, some in enumerate(taken) if place in back])

    def close(self) -> None:
        """Give back what is held."""
        self._intake.close()
        self.held.clear()

    def _fill(self, count: int) -> None:
        """Take what comes, until `count` are held, the broker may send no more, or has no more."""
        while len(self.held) < count and self._intake.room > 0:
            found = self._intake.take(count - len(self.held))
            if not found:
                return
            self.held += found


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
        """Read as far as a place; not much more is taken, since each message that is may count as delivered."""
        wanted = min(place, self._depth)
        if len(self._ends) >= wanted:
            return
        self._file.seek(0, 2)
        if self._intake is None:
            self._intake = self._begin()
        self._intake.make_room(min(max(wanted, 2 * len(self._ends)), self._depth) - len(self._ends))
        while len(self._ends) < wanted:
            found = self._intake.take()
            if not found:
                self._depth = len(self._ends)
                break
            self._keep(found[: self._depth - len(self._ends)])
        if len(self._ends) == self._depth:
            self._give_back()

    def _keep(self, found: list[Delivery]) -> None:
        for delivery in found:
            if deliveries(delivery) >= DELIVERIES:  # looking further would cost messages: quorum queues count
                self.close()
                raise DeliveryLimitError
            self._file.write(delivery.body)
            self._ends.append(self._file.tell())

    def _give_back(self) -> None:
        if self._intake is not None:
            self._intake.close()
            self._intake = None
