"""The places of a RabbitMQ queue: how many messages each has, and what of them we hold."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from dlq.brokers.base import Place
from dlq.brokers.rabbit_reading import Intake, Pass, Spool
from dlq.errors import QueueMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlq.brokers.rabbit_wire import RabbitWire

_COUNTS: Final = 50
_BETWEEN: Final = 0.1  # seconds between two counts


class RabbitPlaces:
    """Looks at the places of one queue, and takes the front of the one that a pass reads."""

    def __init__(self, wire: RabbitWire, names: Mapping[Place, str], what: str) -> None:
        """Take the connection and the names of the queues; `what` says in errors whose they are."""
        self._wire = wire
        self._names = names
        self._what = what
        self._spools: dict[Place, Spool] = {}
        self._source: Place | None = None
        self._used = 0.0
        self.front: Pass | None = None
        """What a pass holds, once it was taken."""

    def read_by_pass(self, source: Place | None) -> None:
        """Say which place a pass reads from now on, if any: its front is ours, and a look at it would find less."""
        self.give_back()
        self._source = source

    def reads(self, place: Place) -> bool:
        """Say whether a pass reads a place."""
        return self._source is place

    def take_front(self) -> Pass:
        """Take the front of the place that the pass reads, if that is not done yet."""
        self._used = time.monotonic()
        if self.front is None:
            assert self._source is not None  # noqa: S101 - a pass has begun
            spool = self._spools.get(self._source)
            self.drop_spool(self._source)
            if spool is not None:
                self.settled(self._source)  # what was looked at is to be back first
            self.front = Pass(self._intake(self._source, eager=True))
        return self.front

    def give_back(self) -> None:
        """Let go of what is held at every place; it is taken again when it is read again."""
        for place in Place:
            self.drop_spool(place)
        self._give_front_back()

    def held_for(self) -> float:
        """Give the seconds that the oldest message was held by now, or that a look was not used; 0 without any."""
        look = time.monotonic() - self._used if self._spools else 0.0
        return max(look, self.front.age() if self.front is not None else 0.0)

    def depth(self, place: Place) -> int:
        """Count the messages at a place, those that we hold among them."""
        self.drop_spool(place)
        if self.front is not None and self.reads(place):
            return sum(self.front.count())
        return self.ready(place)

    def held(self) -> tuple[Place, int] | None:
        """Say of which place a pass holds how many messages, if it does."""
        if self.front is None or self._source is None:
            return None
        return self._source, self.front.count()[1]

    def ready(self, place: Place) -> int:
        """Count what nobody holds."""
        try:
            return self._wire.count(f"{self._what}: count", self._names[place])
        except QueueMissingError:
            if place is Place.QUARANTINE:  # it is made when something is quarantined
                return 0
            raise

    def settled(self, place: Place, least: int = 0) -> int:
        """Count again until the number stays: a quorum queue counts what came back to it a moment later.

        There should be at least `least`: what a lost connection held comes back when the broker has noticed the loss,
        and for that it gets some seconds.
        """
        count, before = self.ready(place), -1
        for _ in range(_COUNTS):
            if count == before and count >= least:
                break
            time.sleep(_BETWEEN)
            count, before = self.ready(place), count
        return count

    def spool(self, place: Place) -> Spool:
        """Look at all of a place, the front that a pass holds too: it is given back for that."""
        self._used = time.monotonic()
        if self.reads(place):
            self._give_front_back()
        if place not in self._spools:
            self._spools[place] = Spool(lambda: self._intake(place, eager=False), self.settled(place))
        return self._spools[place]

    def lengths(self, place: Place, skips: list[int]) -> list[int]:
        """Measure messages that were read already; 0 for all others, since RabbitMQ does not tell."""
        if self.front is not None and self.reads(place):
            held = self.front.held
            return [len(held[skip].body) if skip < len(held) else 0 for skip in skips]
        return self._spools[place].lengths(skips) if place in self._spools else [0] * len(skips)

    def drop_spool(self, place: Place) -> None:
        """Give back what a look holds."""
        spool = self._spools.pop(place, None)
        if spool is not None:
            spool.close()

    def _give_front_back(self) -> None:
        if self.front is not None:
            front, self.front = self.front, None
            front.close()

    def _intake(self, place: Place, *, eager: bool) -> Intake:
        return Intake(self._wire, self._names[place], lambda: self.settled(place), eager=eager)
