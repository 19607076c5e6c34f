"""The second step of a batch in a Redis Cluster: from where it waits beside its source to its goal, once.

The first step (commit.lua) leaves the messages of a batch in *transit* lists in its slot, and registers the batch. They
are read behind it on the same connection, without a round trip. Who finds a registered batch that nobody brings to its
goal does it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dlq.brokers.base import Place
from dlq.brokers.redis_ledger import now_ms, same
from dlq.errors import DlqError, LedgerError, WrongKeyTypeError
from dlq.records.ledger import ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import Pending
    from dlq.brokers.cluster_wire import ClusterWire
    from dlq.brokers.redis_keys import LedgerKeys
    from dlq.config.settings import QueueConfig

_COUNT: Final = 5  # where in the first step's answer its messages are counted
Messages = dict[Place, list[bytes]]


@dataclass(frozen=True, slots=True)
class Leg:
    """A batch on its way from one slot to others."""

    books: LedgerKeys
    run_id: str
    sequence: int
    goals: tuple[Place, ...]

    @property
    def name(self) -> str:
        """Name the batch as it is registered."""
        return f"{self.run_id} {self.sequence}"

    @property
    def lists(self) -> dict[Place, str]:
        """Name its transit list for each goal."""
        return {goal: self.books.transit(self.run_id, self.sequence, goal.value) for goal in self.goals}


class _Step(NamedTuple):
    """A second step that is under way; the last one of its leg forgets the leg."""

    reply: Pending[Any]
    leg: Leg
    goal: Place
    last: bool


class Crossings:
    """The second steps of one queue: those under way, and those that others left to do."""

    def __init__(
        self,
        config: QueueConfig,
        wire: ClusterWire,
        books: dict[Place, LedgerKeys],
        undone_by: Callable[[str], str | None],
        *,
        ledger_ms: int,
        replicas: int,
    ) -> None:
        """Take the books beside DLQ, live queue and quarantine, and how to ask which run a rollback undoes."""
        self._config = config
        self._wire = wire
        self._books = books
        self._home = books[Place.DLQ]
        self._undone_by = undone_by
        self._ledger_ms = ledger_ms
        self._replicas = replicas
        self._under_way: deque[_Step] = deque()
        self._forgotten: list[Pending[Any]] = []

    def read(self, leg: Leg) -> dict[Place, Pending[list[bytes]]]:
        """Ask for the messages of a batch, oldest first, by goal."""
        return {
            goal: self._wire.send(self._what("read"), _oldest_first, "LRANGE", key, 0, -1)
            for goal, key in leg.lists.items()
        }

    def begin(self, leg: Leg, answer: list[Any], reads: dict[Place, Pending[list[bytes]]], undoes: str | None) -> None:
        """Send the second step of a batch whose first was answered, when the one before has arrived.

        `reads` were sent right behind the first step. They saw nothing of it if that had to be sent again elsewhere.
        """
        found = {goal: reply.result() for goal, reply in reads.items()}
        fresh = answer[0] == b"done"
        if not fresh or sum(map(len, found.values())) != answer[_COUNT]:
            found = {goal: reply.result() for goal, reply in self.read(leg).items()}
        self._see_forgotten()  # on their way since the batch before: the answers are here
        self._finish_all()
        if self._replicas:
            self._wire.wait(leg.books.fence, self._replicas)
        self._under_way += self._steps(leg, found, undoes, (answer[_COUNT + 1], answer[_COUNT + 2]) if fresh else None)

    def arrive(self) -> None:
        """Wait for the second steps that are under way, and forget what was kept for them."""
        self._finish_all()
        self._see_forgotten()

    def abandon(self) -> None:
        """Leave what is under way to whoever comes next."""
        self._under_way.clear()
        self._forgotten.clear()

    def settle(self) -> None:
        """Bring to their goals the messages that others left on their way; anybody may, for each arrives once."""
        self.arrive()
        for books in self._books.values():
            goals = (Place.LIVE, Place.QUARANTINE) if books is self._home else (Place.DLQ,)
            members = self._wire.call(self._what("settle"), "SMEMBERS", books.transits)
            for run_id, sequence in sorted(map(_leg_name, members)):
                leg = Leg(books, run_id, sequence, goals)
                found = {goal: reply.result() for goal, reply in self.read(leg).items()}
                for step in self._steps(leg, found, self._undone_by(run_id), None):
                    self._finish(step)
        self._see_forgotten()

    def wait(self, place: Place) -> None:
        """Wait until as many replicas as the settings ask for have what was written in the slot of a place."""
        if self._replicas:
            self._wire.wait(self._books[place].dlq, self._replicas)

    # inside

    def _steps(self, leg: Leg, found: Messages, undoes: str | None, ledger: tuple[bytes, bytes] | None) -> list[_Step]:
        """Send the second step of a batch, which is two where it goes to two places."""
        if leg.books is not self._home:
            return self._admit(leg, found[Place.DLQ], undoes, ledger)
        sent = [(self._deliver(leg, goal, messages), goal) for goal, messages in found.items() if messages]
        if not sent:
            self._forget(leg)
        return [_Step(reply, leg, goal, number == len(sent)) for number, (reply, goal) in enumerate(sent, 1)]

    def _deliver(self, leg: Leg, goal: Place, messages: list[bytes]) -> Pending[Any]:
        """Push messages that left the DLQ."""
        books = self._books[goal]
        keys = [books.dlq, books.arrivals(leg.run_id)]
        args = [f"{leg.sequence}:{goal}", self._ledger_ms, *messages]
        return self._wire.script(self._what("deliver"), self._arrived, "deliver", keys, args)

    def _admit(
        self, leg: Leg, messages: list[bytes], undoes: str | None, ledger: tuple[bytes, bytes] | None
    ) -> list[_Step]:
        """Push messages that a rollback withdrew, and copy the batch into the ledger."""
        blob, remaining = ledger or self._ledger(leg)
        if blob is None:
            return []
        run = self._home.run(leg.run_id)
        keys = [self._home.dlq, run, self._home.batches(leg.run_id), self._home.run(undoes) if undoes else run]
        args = [leg.sequence, blob, remaining or 0, ENTRY_BYTES, now_ms(), self._ledger_ms, *messages]
        reply = self._wire.script(self._what("admit"), self._arrived, "admit", keys, args)
        return [_Step(reply, leg, Place.DLQ, last=True)]

    def _ledger(self, leg: Leg) -> tuple[bytes | None, bytes | None]:
        """Read the batch in the source's ledger, and what was left of the pass."""
        blobs = self._wire.send(self._what("ledger"), same, "HMGET", leg.books.batches(leg.run_id), leg.sequence)
        facts = self._wire.send(self._what("ledger"), same, "HMGET", leg.books.run(leg.run_id), "remaining")
        return blobs.result()[0], facts.result()[0]

    def _finish_all(self) -> None:
        while self._under_way:
            step = self._under_way.popleft()
            try:
                self._finish(step)
            except DlqError:
                self._under_way.clear()  # they are in transit: whoever takes the lock next settles them
                raise

    def _finish(self, step: _Step) -> None:
        step.reply.result()
        self.wait(step.goal)
        if step.last:
            self._forget(step.leg)

    def _forget(self, leg: Leg) -> None:
        """Remove the transit lists of a batch that has arrived, then its registration; the answers are seen later."""
        for key in leg.lists.values():
            self._forgotten.append(self._wire.send(self._what("clear"), same, "UNLINK", key))
        self._forgotten.append(self._wire.send(self._what("clear"), same, "SREM", leg.books.transits, leg.name))

    def _see_forgotten(self) -> None:
        """See that what has arrived is forgotten, wherever its slot is by now."""
        while self._forgotten:
            self._forgotten.pop(0).result()

    def _arrived(self, answer: list[Any]) -> None:
        if answer[0] == b"wrongtype":
            key = answer[1].decode(errors="replace")
            raise WrongKeyTypeError(
                f"queue {self._config.name}: key {key} is not a list any more. The batches under way are kept beside"
                " their source and are delivered once when the run is resumed."
            )
        if answer[0] == b"malformed":
            raise LedgerError(f"queue {self._config.name}: a batch does not fit its ledger entries ({answer!r}).")

    def _what(self, action: str) -> str:
        return f"queue {self._config.name}: {action}"


def _leg_name(member: bytes) -> tuple[str, int]:
    run_id, _, sequence = member.decode().rpartition(" ")
    return run_id, int(sequence)


def _oldest_first(messages: list[bytes]) -> list[bytes]:
    messages.reverse()
    return messages
