"""Dead letter queues in a Redis Cluster, whose DLQ, live queue and quarantine lie in different hash slots.

No script can touch two slots, so a batch goes in two steps, each atomic and each done once. The first does what it
does on one Redis, but moves the messages into a *transit* list beside their source. The second pushes them to their
goal, under a guard that lies in the goal's slot. Between the two the messages are in the transit list, registered, and
whoever takes the queue's lock next brings them to their goal before anything else: see docs/decisions.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlq.brokers.base import EDIT, QUARANTINE, REDRIVE, Batch, Hold, Pending, Place, Receipt, Route
from dlq.brokers.redis_keys import LedgerKeys, OutpostKeys
from dlq.brokers.redis_ledger import now_ms, same
from dlq.brokers.redis_lists import RedisLists
from dlq.errors import DlqError, LedgerError, WrongKeyTypeError
from dlq.records.ledger import ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.cluster_wire import ClusterWire
    from dlq.config.settings import QueueConfig
    from dlq.records.ledger import LedgerBatch, RunRecord


@dataclass(frozen=True, slots=True)
class _Leg:
    """A batch on its way from one slot to another, and the transit lists that it leaves behind."""

    books: LedgerKeys
    run_id: str
    sequence: int
    lists: dict[Place, str]
    """The transit list for each place that messages go to."""


@dataclass(slots=True)
class _Crossing(Pending[Receipt]):
    """The receipt of a batch; once it is here, the second step is on its way."""

    queue: RedisClusterQueue
    leg: _Leg
    registered: Pending[Any] | None
    receipt: Pending[Receipt]
    undoes: str | None
    _known: Receipt | None = field(init=False, default=None)

    def result(self) -> Receipt:
        """Wait for the first step."""
        if self._known is None:
            if self.registered:
                self.registered.result()  # first, so that it is sent again first where the slot has moved
            self._known = self.receipt.result()
            if self._known.committed:
                self.queue.cross(self.leg, self.undoes)
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
        self._cluster = wire
        self._replicas = replicas
        self._outposts = {
            place: OutpostKeys(self._lists[place], config.dlq) for place in (Place.LIVE, Place.QUARANTINE)
        }
        self._books: dict[Place, LedgerKeys] = {Place.DLQ: self._keys, **self._outposts}
        self._under_way: deque[tuple[Pending[Any], _Leg]] = deque()

    # reading: what is on its way arrives first

    def depth(self, place: Place) -> int:
        """Count the messages at a place."""
        self._arrive()
        return super().depth(place)

    def run(self, run_id: str) -> RunRecord | None:
        """Look a run up."""
        self._arrive()
        return super().run(run_id)

    def batches(self, run_id: str, after: int = 0) -> Iterator[LedgerBatch]:
        """Stream the ledger of a run; what a dead process left on its way is brought to its goal before."""
        self._settle(clean=False)
        return super().batches(run_id, after)

    # the lock: the outposts have a copy of its fence

    def acquire(self, run_id: str, who: str, *, take_over: bool = False) -> Hold:
        """Take the queue's lock, and bring to its goal what the last holder left on its way."""
        hold = super().acquire(run_id, who, take_over=take_over)
        try:
            self._advance(hold.token)
            self._settle(clean=True)
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
            self._arrive()
        except DlqError:
            if state != "stopped":
                raise
        super().finish(hold, state, fields)

    def close(self) -> None:
        """Let go of the connections; what is on its way arrives first, or with the next who takes the lock."""
        with suppress(DlqError):
            self._arrive()
        self._under_way.clear()
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
        goals = _goals(route, batch)
        for goal in goals:
            self._insist_on_list(goal)
        books = self._books[route.source]
        run, number = books.run(hold.run_id), batch.sequence
        transit = {goal: books.transit(hold.run_id, number, goal.value) for goal in goals}
        leg = _Leg(books, hold.run_id, number, transit)
        registered = None
        if transit or books is not self._keys:
            member = f"{hold.run_id} {number}"
            registered = self._wire.send(self._what("register"), same, "SADD", books.transits, member)
        keys = [
            self._lists[route.source],
            books.fence,
            books.lock,
            run,
            books.batches(hold.run_id),
            books.originals(hold.run_id),
            books.signatures(hold.run_id),
            transit.get(route.redrive_to, self._lists[route.source]),
            transit.get(Place.QUARANTINE, self._lists[route.source]),
            self._keys.run(route.undoes) if route.undoes and books is self._keys else run,
        ]
        args = self._commit_args(hold, batch)
        receipt = self._wire.script(
            self._what("commit"), lambda answer: self._receipt(hold, answer), "commit", keys, args
        )
        return _Crossing(self, leg, registered, receipt, route.undoes)

    def cross(self, leg: _Leg, undoes: str | None) -> None:
        """Send the second step of a batch, once the one before has arrived."""
        self._arrive()
        if self._replicas:
            self._cluster.wait(leg.books.fence, self._replicas)
        self._under_way += [(reply, leg) for reply in self._second_steps(leg, undoes)]

    # the second step

    def _second_steps(self, leg: _Leg, undoes: str | None) -> list[Pending[Any]]:
        """Send what is left to do for a batch whose first step may be done; nothing where it is not."""
        replies = [
            (goal, self._wire.send(self._what("read"), _oldest_first, "LRANGE", key, 0, -1))
            for goal, key in leg.lists.items()
        ]
        if leg.books is not self._keys:
            return self._admit(leg, [message for _, reply in replies for message in reply.result()], undoes)
        found = [(goal, reply.result()) for goal, reply in replies]
        return [self._deliver(leg, goal, messages) for goal, messages in found if messages]

    def _deliver(self, leg: _Leg, goal: Place, messages: list[bytes]) -> Pending[Any]:
        """Push messages that left the DLQ."""
        keys = [self._lists[goal], self._outposts[goal].arrivals(leg.run_id)]
        args = [f"{leg.sequence}:{goal}", self._ledger_ms, *messages]
        return self._wire.script(self._what("deliver"), self._arrived, "deliver", keys, args)

    def _admit(self, leg: _Leg, messages: list[bytes], undoes: str | None) -> list[Pending[Any]]:
        """Push messages that a rollback withdrew, and copy the batch into the ledger."""
        blobs = self._wire.send(self._what("ledger"), same, "HMGET", leg.books.batches(leg.run_id), leg.sequence)
        facts = self._wire.send(self._what("ledger"), same, "HMGET", leg.books.run(leg.run_id), "remaining")
        (blob,), (remaining,) = blobs.result(), facts.result()
        if blob is None:
            return []
        if undoes is None:
            here = self._record(self._keys, leg.run_id)
            undoes = here.undoes if here else None
        run = self._keys.run(leg.run_id)
        keys = [self.config.dlq, run, self._keys.batches(leg.run_id), self._keys.run(undoes) if undoes else run]
        args = [leg.sequence, blob, remaining or 0, ENTRY_BYTES, now_ms(), self._ledger_ms, *messages]
        return [self._wire.script(self._what("admit"), self._arrived, "admit", keys, args)]

    def _arrive(self) -> None:
        """Wait for the second steps that are under way, and forget their transit lists."""
        while self._under_way:
            reply, leg = self._under_way.popleft()
            try:
                reply.result()
            except DlqError:
                self._under_way.clear()  # they are registered: whoever takes the lock next settles them
                raise
            if not any(other is leg for _, other in self._under_way):
                self._forget(leg)

    def _forget(self, leg: _Leg) -> None:
        """Remove the transit lists of a batch that has arrived."""
        if self._replicas:
            self._cluster.wait(self.config.dlq if leg.books is not self._keys else self.config.live, self._replicas)
        for key in leg.lists.values():
            self._wire.send(self._what("clear"), same, "UNLINK", key)
        self._wire.send(self._what("clear"), same, "SREM", leg.books.transits, f"{leg.run_id} {leg.sequence}")

    def _settle(self, *, clean: bool) -> None:
        """Bring to their goals the messages that a dead process left on their way.

        Anybody may: each batch arrives once. Only the lock's holder may forget a batch of which nothing is found, since
        its first step may still be about to happen while another process has the lock.
        """
        self._arrive()
        for books in self._books.values():
            members = self._wire.call(self._what("settle"), "SMEMBERS", books.transits)
            for run_id, sequence in sorted(_leg_name(member) for member in members):
                self._settle_batch(books, run_id, sequence, clean=clean)

    def _settle_batch(self, books: LedgerKeys, run_id: str, sequence: int, *, clean: bool) -> None:
        goals = (Place.LIVE, Place.QUARANTINE) if books is self._keys else (Place.DLQ,)
        leg = _Leg(books, run_id, sequence, {goal: books.transit(run_id, sequence, goal.value) for goal in goals})
        steps = self._second_steps(leg, None)
        for step in steps:
            step.result()
        if clean or steps:
            self._forget(leg)

    # what may be wrong

    def _advance(self, token: int) -> None:
        """Let the outposts know of a new holder of the lock."""
        for books in self._outposts.values():
            self._wire.script(self._what("fence"), same, "fence", [books.fence], [token, self._ledger_ms]).result()

    def _insist_on_list(self, goal: Place) -> None:
        """Refuse before the first step what the second could not do."""
        kind = self._wire.call(self._what("look"), "TYPE", self._lists[goal])
        if kind not in {b"list", b"none"}:
            raise self._wrong_type(self._lists[goal].encode())

    def _arrived(self, answer: list[Any]) -> None:
        if answer[0] == b"wrongtype":
            key = answer[1].decode(errors="replace")
            raise WrongKeyTypeError(
                f"queue {self.config.name}: key {key} is not a list any more. The last batch is kept beside its source"
                " and is delivered once when the run is resumed."
            )
        if answer[0] == b"malformed":
            raise LedgerError(f"queue {self.config.name}: a batch does not fit its ledger entries ({answer!r}).")


def _goals(route: Route, batch: Batch) -> list[Place]:
    """Say where the messages of a batch go that leave its slot."""
    goals = []
    if route.redrive_to is not route.source and (REDRIVE in batch.actions or EDIT in batch.actions):
        goals.append(route.redrive_to)
    if QUARANTINE in batch.actions:
        goals.append(Place.QUARANTINE)
    return goals


def _leg_name(member: bytes) -> tuple[str, int]:
    run_id, _, sequence = member.decode().rpartition(" ")
    return run_id, int(sequence)


def _oldest_first(messages: list[bytes]) -> list[bytes]:
    return messages[::-1]
