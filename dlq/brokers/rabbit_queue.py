"""Dead letter queues of RabbitMQ. Lock and ledger are in a Redis, since RabbitMQ has nowhere to keep them.

A batch is noted in the ledger, published with confirms, written into the ledger and then acknowledged, so that a
message is lost at no point. What was published when the process died, but not yet confirmed, is published again by the
one who resumes the run: marked with a header, and counted. Kept messages are published to the end of their queue.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pika

from dlq.brokers.base import (
    KEEP,
    MOVED,
    QUARANTINE,
    REDRIVE,
    Batch,
    Capabilities,
    Hold,
    Later,
    Pending,
    Place,
    Ready,
    Receipt,
    Route,
)
from dlq.brokers.rabbit_flights import Flight, Flights
from dlq.brokers.rabbit_frames import packed
from dlq.brokers.rabbit_ledger import UNSETTLED, RabbitLedger
from dlq.brokers.rabbit_lot import Goals, Lot, vanished, without_vanished
from dlq.brokers.rabbit_messages import to_queue, unpack
from dlq.brokers.rabbit_notes import Note
from dlq.brokers.rabbit_places import RabbitPlaces
from dlq.brokers.rabbit_recovery import Recovery
from dlq.brokers.rabbit_wire import RabbitWire
from dlq.brokers.redis_ledger import now_ms
from dlq.errors import BrokerUnreachableError, DlqError, LedgerError, UnroutableError
from dlq.records.ledger import CLOSED, ENTRY_BYTES, HEADER, LedgerBatch, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlq.brokers.rabbit_reading import Pass
    from dlq.brokers.redis_wire import RedisWire
    from dlq.config.queues import QueueConfig
    from dlq.records.ledger import RunRecord

_CHUNK_BYTES: Final = 8 * 1024 * 1024
_UNHEARD: Final = UNSETTLED // 2  # acknowledgements that may be lost with the connection
_HELD_SECONDS: Final = 300.0  # what is held for so long is given back: the broker takes it after 30 minutes

_UNKNOWN_ARRIVALS: Final = -1  # a queue's length does not tell what came and what others took


class RabbitQueue(RabbitLedger):
    """One queue of RabbitMQ; the names of its places are names of queues."""

    capabilities = Capabilities(
        looks=False,
        exact_depth=False,
        exactly_once=False,
        note="RabbitMQ cannot be looked at without taking: the pace is the runbook's fixed one, not by outcome; depths"
        " leave out what consumers hold; after a crash, what was under way may come twice, marked and counted.",
    )

    def __init__(
        self,
        config: QueueConfig,
        url: str,
        ledger: RedisWire,
        *,
        lock_seconds: float = 30,
        ledger_days: float = 30,
        held_seconds: float = _HELD_SECONDS,
    ) -> None:
        """Prepare; the first call connects. `url` is RabbitMQ's, `ledger` leads to the Redis of the ledger."""
        super().__init__(config, ledger, lock_seconds=lock_seconds, ledger_days=ledger_days)
        self._rabbit = RabbitWire(url)
        # A connection of its own: a broker that slows publishers down would slow our acknowledgements, too.
        self._flights = Flights(RabbitWire(url), self._what, self._landed)
        self._places = RabbitPlaces(self._rabbit, self._lists, f"queue {config.name}")
        self._recovery = Recovery(ledger, self._keys, self._what, self._lists, self._places, self._flights)
        self._held_seconds = held_seconds
        self._pass: tuple[RunRecord, Place] | None = None
        self._depth = 0

    # reading

    def depth(self, place: Place) -> int:
        """Count the messages at a place, those that we hold among them."""
        self._land()
        return self._places.depth(place)

    def read(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the consumer's end, oldest first."""
        if self._places.reads(place):
            taken = self._taken().taken
            return Later(lambda: self._ahead(skip + taken, count))
        return Ready(self._places.spool(place).bodies(skip, count))

    def read_newest(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the producer's end, newest first; all of the queue is read for it."""
        self._land()
        spool = self._places.spool(place)
        first = max(0, len(spool) - skip - count)
        return Ready(spool.bodies(first, len(spool) - skip - first)[::-1])

    def lengths(self, place: Place, skips: Sequence[int]) -> Pending[list[int]]:
        """Measure messages that were read already; 0 for all others, since RabbitMQ does not tell."""
        return Ready(self._places.lengths(place, list(skips)))

    # a run

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin pass number `step` of a run: freeze its selection; its front is taken when it is read."""
        try:
            self._land()
        except BrokerUnreachableError:  # what was under way is suspect, and is found by the same pass only
            if self._pass is not None and self._pass[0].step < step:
                raise
        self._forget()
        known = super().run(hold.run_id)
        depth = self._places.settled(route.source, self._least(known, route, step))
        nothing = self._keys.page("no list")  # the script looks at a list, and ours is not in Redis
        record = self._begin(hold, self._keys, nothing, step, fields, length, depth=depth)
        self._pass, self._depth = (record, route.source), depth
        self._places.read_by_pass(route.source)
        if not record.remaining and self._recovery.unheard_of(hold.run_id, route.source):
            self._taken()  # the pass is at its end, and the broker may not have heard it
            self._land()
        goes_on = known is not None and known.step == step and known.state not in CLOSED
        if goes_on and record.remaining and (route.undoes or step == 0):
            return self._recovery.look_at_all(record, depth if route.undoes else 0, self._taken())
        return record

    def settle(self, hold: Hold, run_id: str) -> dict[Place, int]:
        """Find out how far a run came that is to be taken back, and count what it may have sent besides.

        What the ledger has of it and stands in the DLQ again is acknowledged. What was under way when its process died
        may lie at its goals: the passes of `hold` take that to the DLQ, or mark the originals of what they do not find.
        """
        self._land()
        self._forget()
        return self._recovery.settle(hold, run_id, super().run(run_id))

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Note a batch and publish it; once all is confirmed, it is written and its messages are acknowledged.

        The receipt says what was published. Whoever asks for anything but more of the pass waits until that is
        confirmed and written, and gets the error if it was not.
        """
        front = self._taken()
        gone = vanished(front, batch)
        if gone is None:
            return Ready(self._repeated(hold.run_id, batch.sequence, route.source) or MOVED)
        count = min(batch.count - gone, len(front.held))
        self._flights.make_room()
        prints = b"".join(fingerprint(front.held[place].body) for place in range(count))
        batch = without_vanished(batch, gone)
        answer = self._post(hold, batch.sequence, Note.of(route.source, batch, prints))
        if answer[0] == b"already":
            return Ready(Receipt(int(answer[1]), 0, self.depth(route.source), int(answer[2]), repeated=True))
        taken = front.take(count)
        if QUARANTINE in batch.actions:
            self._rabbit.declare(self._what("quarantine"), self.config.quarantine)
        lot = Goals(self.config, route).lot(batch, taken, self._recovery.suspects, self._recovery.copies_for(hold))
        published = self._flights.send([goal for goal in lot.goals if goal is not None])
        self._flights.add(Flight(hold, route, batch, lot, front, published))
        self._depth -= lot.selected
        return Ready(Receipt(count, batch.count - count, self._depth, lot.selected))

    def unstash(self, hold: Hold, undoes: str, sequence: int, fields: Sequence[str], entries: bytes) -> int:
        """Put dropped originals of a run back into the DLQ; return how many were."""
        self._land()
        kept = self._wire.call(self._what("fetch originals"), "HMGET", self._keys.originals(undoes), *fields)
        rows = [entries[i : i + ENTRY_BYTES] for i in range(0, len(entries), ENTRY_BYTES)]
        found = [(row, unpack(original)) for row, original in zip(rows, kept, strict=True) if original is not None]
        messages, rows = [message for _, message in found], [row for row, _ in found]
        count = self._put(hold, sequence, messages, b"".join(rows), undoes, "redriven")
        self._wire.call(self._what("forget originals"), "HDEL", self._keys.originals(undoes), *fields)
        return count

    def put(self, hold: Hold, sequence: int, messages: Sequence[bytes], entries: bytes) -> int:
        """Put messages from outside at the producer's end of the DLQ, oldest first; the same sequence is done once."""
        self._land()
        lasting = packed(pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value))
        return self._put(hold, sequence, [(lasting, message) for message in messages], entries, None, "restored")

    def _put(
        self,
        hold: Hold,
        sequence: int,
        messages: list[tuple[bytes, bytes]],
        entries: bytes,
        undoes: str | None,
        counts_as: str,
    ) -> int:
        posted = self._post(hold, sequence, Note(None, b"".join(fingerprint(body) for _, body in messages), KEEP))
        if posted[0] == b"already":
            return int(posted[2])
        again = hold.run_id if posted[1] else ""  # who noted it may have published it
        goals = [to_queue(self.config.dlq, *message, again) for message in messages]
        self._flights.deliver("put", goals)
        blob = HEADER.pack(len(messages), 0, 0, 0, now_ms()) + entries
        batch = Batch(sequence, 0, 0, (), REDRIVE)
        lot = Lot([], b"", counts_as=counts_as, duplicates=len(messages) if again else 0)
        self._write(hold.run_id, batch, blob, self.depth(Place.DLQ), undoes, lot).result()
        return len(messages)

    # the ledger tells what is confirmed, so whoever asks it waits for that

    def run(self, run_id: str) -> RunRecord | None:
        """Look a run up."""
        self._land()
        return super().run(run_id)

    def runs(self, limit: int) -> list[RunRecord]:
        """List the newest runs of the queue."""
        self._land()
        return super().runs(limit)

    def batches(self, run_id: str, after: int = 0) -> Iterator[LedgerBatch]:
        """Stream the ledger of a run, in the order of its commits, from behind sequence number `after`."""
        self._land()
        return super().batches(run_id, after)

    def signatures(self, run_id: str) -> dict[int, str]:
        """Fetch the signature texts that the run's ledger entries point to."""
        self._land()
        return super().signatures(run_id)

    def originals(self, run_id: str, fields: Sequence[str]) -> list[bytes | None]:
        """Fetch the bodies of kept originals; the ledger has their properties beside them."""
        self._land()
        return [None if found is None else unpack(found)[1] for found in super().originals(run_id, fields)]

    def renew(self, hold: Hold) -> None:
        """Keep the lock, or raise LockLostError. What is held for long is given back."""
        super().renew(hold)
        self._land()
        if self._places.held_for() > self._held_seconds:
            self._places.give_back()

    def finish(self, hold: Hold, state: str, fields: dict[str, str]) -> None:
        """Close the run in the ledger; nothing is held any longer."""
        self._land()
        if self._pass is not None:
            front = self._taken()  # what a lost connection acknowledged in vain stands there again, when all is done
            self._land()
            self._recovery.close(hold.run_id, self._pass[1], front)
        self._pass = None
        self._places.read_by_pass(None)
        super().finish(hold, state, fields)

    def close(self) -> None:
        """Let go of the connections; what was not acknowledged goes back into its queue."""
        with suppress(DlqError):
            self._land()
        self._forget()
        self._flights.close()
        self._rabbit.close()
        super().close()

    # batches on their way

    def _ahead(self, place: int, count: int) -> list[bytes]:
        """Read on in the pass, from a place counted from its begin; it was asked for before the last commit, perhaps.

        Where too much is under way it waits for the oldest batches.
        """
        front = self._taken()
        skip = max(0, place - front.taken)
        while self._flights and front.reach <= skip:
            self._flights.land_oldest()
        return front.bodies(skip, count, _CHUNK_BYTES)

    def _land(self) -> None:
        """Wait for all batches that are under way, and until the broker knows that they are done with."""
        self._flights.land()
        if self._places.front is not None:
            self._make_sure(self._places.front)

    def _make_sure(self, front: Pass) -> None:
        """Wait until the broker has heard what was acknowledged, and forget those batches: they cannot come back."""
        heard = front.make_sure()
        if self._pass is not None:
            self._recovery.forget_notes(self._pass[0].run_id, heard)

    def _landed(self, flight: Flight, returned: list[int]) -> None:
        """Write a batch that is confirmed into the ledger, then acknowledge it."""
        batch, lot = flight.batch, flight.lot.without(returned, flight.batch.sequence) if returned else flight.lot
        scanned = len(lot.taken)
        header = HEADER.pack(scanned, scanned - lot.selected, _UNKNOWN_ARRIVALS, batch.wave, now_ms())
        blob = header + lot.entries(batch.entries)
        self._write(flight.hold.run_id, batch, blob, self._depth, flight.route.undoes, lot).result()
        front = flight.front
        if not lot.back:
            front.acknowledge(lot.taken, batch.sequence)
            if len(front.unheard) >= _UNHEARD:
                self._make_sure(front)
            return
        front.give_back(lot.taken, lot.back, batch.sequence)
        with suppress(UnroutableError):  # what is behind it has the same fate, most likely
            self._land()
        raise UnroutableError(
            f"queue {self.config.name}: {len(lot.back):,} messages of a batch found no queue to go to; they are back in"
            f" {self._lists[flight.route.source]}."
        )

    @staticmethod
    def _least(known: RunRecord | None, route: Route, step: int) -> int:
        """Say how many messages there must be at the source of a pass that another process began."""
        if known is None or known.step != step:
            return 0
        return known.remaining + (known.kept if step == 0 and not route.undoes else 0)

    def _forget(self) -> None:
        """Forget the pass and what is under way; the ledger knows how far that came."""
        self._pass = None
        self._flights.forget()
        self._places.read_by_pass(None)

    # going on

    def _repeated(self, run_id: str, sequence: int, source: Place) -> Receipt | None:
        """Give the receipt of a batch that the ledger has already."""
        self._land()
        (blob,) = self._wire.call(self._what("look a batch up"), "HMGET", self._keys.batches(run_id), sequence)
        if blob is None:
            return None
        done = LedgerBatch.unpack(sequence, blob)
        return Receipt(done.scanned, 0, self.depth(source), len(done), repeated=True)

    def _taken(self) -> Pass:
        """Take the front of the pass's source, if that is not done yet."""
        if self._pass is None:
            raise LedgerError(f"queue {self.config.name}: no pass has begun.")
        fresh = self._places.front is None
        front = self._places.take_front()
        if fresh:
            record, place = self._pass
            record = self._record(self._keys, record.run_id) or record
            self._recovery.catch_up(record, place, front)
        return front
