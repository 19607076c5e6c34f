"""Dead letter queues in a Redis Cluster, whose DLQ, live queue and quarantine lie in different hash slots.

No script can touch two slots, so a batch goes in two steps, each atomic and each done once. The first does what it
does on one Redis, but pushes the messages to a *transit* list beside their source. The second pushes them to their
goal, under a guard that lies in the goal's slot: see cluster_crossing. Between the two they are in transit, and whoever
takes the queue's lock next brings them to their goal before anything else: see docs/decisions.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlq.brokers.base import EDIT, QUARANTINE, REDRIVE, Batch, Hold, Pending, Place, Receipt, Route
from dlq.brokers.cluster_crossing import Crossings, Leg
from dlq.brokers.redis_keys import LedgerKeys, OutpostKeys
from dlq.brokers.redis_ledger import same
from dlq.brokers.redis_lists import RedisLists
from dlq.errors import DlqError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlq.brokers.cluster_wire import ClusterWire
    from dlq.config.settings import QueueConfig
    from dlq.records.ledger import LedgerBatch, RunRecord


@dataclass(slots=True)
class _Crossing(Pending[Receipt]):
    """The receipt of a batch; once it is here, the second step is on its way."""

    queue: RedisClusterQueue
    answer: Pending[Any]
    hold: Hold
    leg: Leg
    reads: dict[Place, Pending[list[bytes]]]
    undoes: str | None
    _known: Receipt | None = field(init=False, default=None)

    def result(self) -> Receipt:
        """Wait for the first step."""
        if self._known is None:
            self._known = self.queue.cross(self)
        return self._known


class RedisClusterQueue(RedisLists):
    """One queue in a cluster."""

    def __init__(
        self,
        config: QueueConfig,
        wire: ClusterWire,
        *,
        lock_seconds: float = 30,
        ledger_days: float = 30,
        replicas: int = 0,
    ) -> None:
        """Prepare; the first call connects. Each step waits until `replicas` replicas have it, too."""
        super().__init__(config, wire, lock_seconds=lock_seconds, ledger_days=ledger_days)
        self._outposts = [OutpostKeys(self._lists[place], config.dlq) for place in (Place.LIVE, Place.QUARANTINE)]
        live, quarantine = self._outposts
        self._books: dict[Place, LedgerKeys] = {Place.DLQ: self._keys, Place.LIVE: live, Place.QUARANTINE: quarantine}
        self._lists_known: set[Place] = set()
        self._crossings = Crossings(
            config, wire, self._books, self._undone_by, ledger_ms=self._ledger_ms, replicas=replicas
        )

    # reading: what is on its way arrives first

    def depth(self, place: Place) -> int:
        """Count the messages at a place."""
        self._crossings.arrive()
        return super().depth(place)

    def run(self, run_id: str) -> RunRecord | None:
        """Look a run up."""
        self._crossings.arrive()
        return super().run(run_id)

    def batches(self, run_id: str, after: int = 0) -> Iterator[LedgerBatch]:
        """Stream the ledger of a run; what a dead process left on its way is brought to its goal before."""
        self._crossings.settle()
        return super().batches(run_id, after)

    # the lock: the outposts have a copy of its fence

    def acquire(self, run_id: str, who: str, *, take_over: bool = False) -> Hold:
        """Take the queue's lock, and bring to its goal what the last holder left on its way."""
        hold = super().acquire(run_id, who, take_over=take_over)
        try:
            self._advance(hold.token)
            self._crossings.settle()
        except DlqError:
            with suppress(DlqError):
                self.release(hold)
            raise
        return hold

    def release(self, hold: Hold) -> None:
        """Give the lock back; does nothing when it is no longer ours."""
        self._advance(hold.token + 1)
        super().release(hold)

    def finish(self, hold: Hold, state: str, fields: dict[str, str]) -> None:
        """Close the run in the ledger; one that is done has nothing left on its way."""
        try:
            self._crossings.arrive()
        except DlqError:
            if state != "stopped":
                raise
        super().finish(hold, state, fields)

    def close(self) -> None:
        """Let go of the connections; what is on its way arrives first, or with the next who takes the lock."""
        with suppress(DlqError):
            self._crossings.arrive()
        self._crossings.abandon()
        self._lists_known.clear()
        super().close()

    # a run

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin pass number `step` of a run: freeze its selection, in the slot of its source first."""
        depth = -1
        if route.source is not Place.DLQ:
            there = self._begin(hold, self._books[route.source], self._lists[route.source], step, {}, length)
            length, depth = there.frozen, there.depth
        return self._begin(hold, self._keys, self.config.dlq, step, fields, length, depth=depth)

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Do the first step of a batch; its receipt begins the second."""
        books, source = self._books[route.source], self._lists[route.source]
        run, goals = books.run(hold.run_id), _goals(route, batch)
        self._insist_on_lists(goals)
        leg = Leg(books, hold.run_id, batch.sequence, goals)
        lists = leg.lists
        keys = [
            source,
            books.fence,
            books.lock,
            run,
            books.batches(hold.run_id),
            books.originals(hold.run_id),
            books.signatures(hold.run_id),
            lists.get(route.redrive_to, source),
            lists.get(Place.QUARANTINE, source),
            self._keys.run(route.undoes) if route.undoes and books is self._keys else run,
            *([books.transits] if goals else []),
        ]
        answer = self._wire.script(self._what("commit"), same, "commit", keys, self._commit_args(hold, batch))
        return _Crossing(self, answer, hold, leg, self._crossings.read(leg), route.undoes)

    def cross(self, batch: _Crossing) -> Receipt:
        """Take in the answer of a first step, and send the second."""
        answer = batch.answer.result()
        receipt = self._receipt(batch.hold, answer)
        if batch.leg.goals and receipt.committed:
            self._crossings.begin(batch.leg, answer, batch.reads, batch.undoes)
        elif receipt.selected:  # dropped: nothing of it goes to another slot
            self._crossings.wait(Place.DLQ)
        return receipt

    def unstash(self, hold: Hold, undoes: str, sequence: int, fields: Sequence[str], entries: bytes) -> int:
        """Put dropped originals of a run back into the DLQ; return how many were."""
        count = super().unstash(hold, undoes, sequence, fields, entries)
        self._crossings.wait(Place.DLQ)
        return count

    def put(self, hold: Hold, sequence: int, messages: Sequence[bytes], entries: bytes) -> int:
        """Put messages from outside at the producer's end of the DLQ, oldest first; the same sequence is done once."""
        count = super().put(hold, sequence, messages, entries)
        self._crossings.wait(Place.DLQ)
        return count

    def _undone_by(self, run_id: str) -> str | None:
        """Say which run a rollback takes back."""
        here = self._record(self._keys, run_id)
        return here.undoes if here else None

    # what may be wrong

    def _advance(self, token: int) -> None:
        """Let the outposts know of a new holder of the lock."""
        for books in self._outposts:
            self._wire.script(self._what("fence"), same, "fence", [books.fence], [token, self._ledger_ms]).result()

    def _insist_on_lists(self, goals: tuple[Place, ...]) -> None:
        """Refuse before the first batch what its second step could not do; later ones stop when one does not arrive."""
        for goal in set(goals) - self._lists_known:
            kind = self._wire.call(self._what("look"), "TYPE", self._lists[goal])
            if kind not in {b"list", b"none"}:
                raise self._wrong_type(self._lists[goal].encode())
        self._lists_known.update(goals)


def _goals(route: Route, batch: Batch) -> tuple[Place, ...]:
    """Say where a batch goes beyond its slot; what is read elsewhere goes to the DLQ, if only for the ledger there."""
    moves = REDRIVE in batch.actions or EDIT in batch.actions or route.source is not Place.DLQ
    goals = [route.redrive_to] if moves and route.redrive_to is not route.source else []
    if QUARANTINE in batch.actions:
        goals.append(Place.QUARANTINE)
    return tuple(goals)
