"""Batches of a RabbitMQ queue that were published, and whose confirms may be still to come."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dlq.brokers.rabbit_channels import Publisher
from dlq.errors import DlqError, UnroutableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from dlq.brokers.base import Batch, Hold, Route
    from dlq.brokers.rabbit_frames import Outgoing
    from dlq.brokers.rabbit_lot import Lot
    from dlq.brokers.rabbit_reading import Pass
    from dlq.brokers.rabbit_wire import RabbitWire

_MOST: Final = 8
_MOST_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch on its way: `published` gives the places of messages that no queue took."""

    hold: Hold
    route: Route
    batch: Batch
    lot: Lot
    front: Pass
    """Where it was taken from, and is to be acknowledged: on another connection its tags are other messages."""
    published: Future[list[int]]

    @property
    def size(self) -> int:
        """Give the bytes of its messages."""
        return sum(len(delivery.body) for delivery in self.lot.taken)


class Flights:
    """Publishes, and has several batches under way; the oldest one lands first."""

    def __init__(
        self, wire: RabbitWire, what: Callable[[str], str], landed: Callable[[Flight, list[int]], None]
    ) -> None:
        """Work on a connection; `what` names in errors what was done, `landed` is called when all is confirmed."""
        self._wire = wire
        self._what = what
        self._landed = landed
        self._publisher: Publisher | None = None
        self._under_way: deque[Flight] = deque()

    def __bool__(self) -> bool:
        """Say whether anything is under way."""
        return bool(self._under_way)

    def send(self, goals: Sequence[Outgoing]) -> Future[list[int]]:
        """Publish messages; the future gives the places of those that no queue took."""
        if self._publisher is None:
            self._publisher = Publisher(self._wire)
        return self._publisher.publish(goals)

    def deliver(self, what: str, goals: Sequence[Outgoing]) -> None:
        """Publish messages and wait until the broker has all of them; UnroutableError when no queue took some."""
        if returned := self._wire.wait(self._what(what), self.send(goals)):
            raise UnroutableError(f"{self._what(what)}: {len(returned):,} messages found no queue to go to.")

    def add(self, flight: Flight) -> None:
        """Have one more under way."""
        self._under_way.append(flight)

    def make_room(self) -> None:
        """Land batches that are confirmed, and wait for the oldest where many or large ones are under way."""
        while self._under_way and (
            self._under_way[0].published.done()
            or len(self._under_way) >= _MOST
            or sum(flight.size for flight in self._under_way) > _MOST_BYTES
        ):
            self.land_oldest()

    def land(self) -> None:
        """Wait for all of them."""
        while self._under_way:
            self.land_oldest()

    def land_oldest(self) -> None:
        """Wait for the confirms of the oldest batch."""
        flight = self._under_way[0]
        try:
            returned: list[int] = self._wire.wait(self._what("publish"), flight.published)
        except DlqError:  # it is not known what of the batches behind it arrived: the next process finds them suspect
            self.forget()
            raise
        self._under_way.popleft()
        self._landed(flight, returned)

    def forget(self) -> None:
        """Forget what is under way."""
        self._under_way.clear()

    def close(self) -> None:
        """Let go of the connection."""
        self.forget()
        self._publisher = None
        self._wire.close()
