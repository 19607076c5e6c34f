"""Dead letter queues of RabbitMQ. Lock and ledger are in a Redis, since RabbitMQ has nowhere to keep them.

A batch is noted in the ledger, published with confirms, written into the ledger and then acknowledged, so that a
message is lost at no point. What was published when the process died, but not yet confirmed, is published again by the
one who resumes the run: marked with a header, and counted. Kept messages are published to the end of their queue.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pika

from dlq.brokers.base import (
    DROP,
    EDIT,
    KEEP,
    MOVED,
    QUARANTINE,
    REDRIVE,
    Batch,
    Capabilities,
    Hold,
    Pending,
    Place,
    Ready,
    Receipt,
    Route,
)
from dlq.brokers.rabbit_channels import Publisher
from dlq.brokers.rabbit_ledger import RabbitLedger
from dlq.brokers.rabbit_lot import Lot, acknowledge_again, split_prints, vanished, without_vanished
from dlq.brokers.rabbit_messages import pack, to_origin, to_queue, unpack
from dlq.brokers.rabbit_reading import Intake, Pass, Spool
from dlq.brokers.rabbit_wire import RabbitWire
from dlq.brokers.redis_ledger import now_ms
from dlq.errors import LedgerError, QueueMissingError, UnroutableError
from dlq.records.ledger import ENTRY_BYTES, HEADER, LedgerBatch, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from dlq.brokers.rabbit_wire import Delivery, Outgoing
    from dlq.brokers.redis_wire import RedisWire
    from dlq.config.queues import QueueConfig
    from dlq.records.ledger import RunRecord

_CHUNK_BYTES: Final = 8 * 1024 * 1024
_COUNTS: Final = 50
_BETWEEN: Final = 0.1  # seconds between two counts

_UNKNOWN_ARRIVALS: Final = -1  # a queue's length does not tell what came and what others took


@dataclass(slots=True)
class _Later(Pending[Any]):
    """An answer that is worked out when it is asked for."""

    work: Callable[[], Any]
    _known: list[Any] = field(init=False, default_factory=list)

    def result(self) -> Any:
        """Work it out, once."""
        if not self._known:
            self._known.append(self.work())
        return self._known[0]


class RabbitQueue(RabbitLedger):
    """One queue of RabbitMQ; the names of its places are names of queues."""

    capabilities = Capabilities(
        looks=False,
        exact_depth=False,
        exactly_once=False,
        note="RabbitMQ cannot be looked at without taking: the pace is the runbook's fixed one, not by outcome; depths"
        " leave out what consumers hold; after a crash, messages of one batch may come twice, marked and counted.",
    )

    def __init__(
        self,
        config: QueueConfig,
        url: str,
        ledger: RedisWire,
        *,
        lock_seconds: float = 30,
        ledger_days: float = 30,
    ) -> None:
        """Prepare; the first call connects. `url` is RabbitMQ's, `ledger` leads to the Redis of the ledger."""
        super().__init__(config, ledger, lock_seconds=lock_seconds, ledger_days=ledger_days)
        self._rabbit = RabbitWire(url)
        self._publisher: Publisher | None = None
        self._pass: tuple[RunRecord, Place] | None = None
        self._front: Pass | None = None
        self._in_flight = 0
        self._spools: dict[Place, Spool] = {}
        self._suspects: Counter[bytes] = Counter()
        self._suspected = ""

    # reading

    def depth(self, place: Place) -> int:
        """Count the messages at a place, those that we hold among them."""
        self._drop_spool(place)
        ours = self._front.waiting if self._front and self._reads(place) else 0
        return self._ready(place) + ours

    def read(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the consumer's end, oldest first."""
        if self._reads(place):
            return _Later(lambda: self._taken().bodies(skip, count, _CHUNK_BYTES))
        return Ready(self._spool(place).bodies(skip, count))

    def read_newest(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the producer's end, newest first; all of the queue is read for it."""
        spool = self._spool(place)
        first = max(0, len(spool) - skip - count)
        return Ready(spool.bodies(first, len(spool) - skip - first)[::-1])

    def lengths(self, place: Place, skips: Sequence[int]) -> Pending[list[int]]:
        """Measure messages that were read already; 0 for all others, since RabbitMQ does not tell."""
        if self._front and self._reads(place):
            held = self._front.held
            return Ready([len(held[skip].body) if skip < len(held) else 0 for skip in skips])
        return Ready(self._spools[place].lengths(list(skips)) if place in self._spools else [0] * len(skips))

    # a run

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin pass number `step` of a run: freeze its selection; its front is taken when it is read."""
        for place in Place:
            self._drop_spool(place)
        self._give_back()
        depth = self._settled(route.source)
        nothing = self._keys.page("no list")  # the script looks at a list, and ours is not in Redis
        record = self._begin(hold, self._keys, nothing, step, fields, length, depth=depth)
        self._pass = (record, route.source)
        return record

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Note a batch and publish it; its receipt is written and its messages acknowledged once all is confirmed."""
        front = self._taken()
        gone = vanished(front, batch)
        if gone is None:
            return Ready(self._repeated(hold.run_id, batch.sequence, route.source) or MOVED)
        count = min(batch.count - gone, len(front.held))
        prints = b"".join(fingerprint(front.held[place].body) for place in range(count))
        answer = self._post(hold, batch.sequence, prints)
        if answer[0] == b"already":
            return Ready(Receipt(int(answer[1]), 0, self.depth(route.source), int(answer[2]), repeated=True))
        batch, taken = without_vanished(batch, gone), front.take(count)
        actions = batch.actions * count if len(batch.actions) == 1 else batch.actions
        if QUARANTINE in actions:
            self._rabbit.declare(self._what("quarantine"), self.config.quarantine)
        lot = self._lot(route, batch, taken, actions)
        self._in_flight += 1
        published = self._publish([goal for goal in lot.goals if goal is not None])
        return _Later(lambda: self._confirm(hold, route, batch, lot, published))

    def unstash(self, hold: Hold, undoes: str, sequence: int, fields: Sequence[str], entries: bytes) -> int:
        """Put dropped originals of a run back into the DLQ; return how many were."""
        kept = self._wire.call(self._what("fetch originals"), "HMGET", self._keys.originals(undoes), *fields)
        rows = [entries[i : i + ENTRY_BYTES] for i in range(0, len(entries), ENTRY_BYTES)]
        found = [(row, unpack(original)) for row, original in zip(rows, kept, strict=True) if original is not None]
        messages, rows = [message for _, message in found], [row for row, _ in found]
        count = self._put(hold, sequence, messages, b"".join(rows), undoes, "redriven")
        self._wire.call(self._what("forget originals"), "HDEL", self._keys.originals(undoes), *fields)
        return count

    def put(self, hold: Hold, sequence: int, messages: Sequence[bytes], entries: bytes) -> int:
        """Put messages from outside at the producer's end of the DLQ, oldest first; the same sequence is done once."""
        lasting = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent.value)
        return self._put(hold, sequence, [(lasting, message) for message in messages], entries, None, "restored")

    def _put(
        self,
        hold: Hold,
        sequence: int,
        messages: list[tuple[Any, bytes]],
        entries: bytes,
        undoes: str | None,
        counts_as: str,
    ) -> int:
        posted = self._post(hold, sequence, b"".join(fingerprint(body) for _, body in messages))
        if posted[0] == b"already":
            return int(posted[2])
        returned = self._publish([to_queue(self.config.dlq, *message) for message in messages])
        if places := self._rabbit.wait(self._what("put"), returned):
            raise UnroutableError(f"queue {self.config.name}: {len(places)} messages found no queue {self.config.dlq}.")
        blob = HEADER.pack(len(messages), 0, 0, 0, now_ms()) + entries
        batch, lot = Batch(sequence, 0, 0, (), REDRIVE), Lot([], b"", counts_as=counts_as)
        self._write(hold.run_id, batch, blob, self.depth(Place.DLQ), undoes, lot)
        return len(messages)

    def originals(self, run_id: str, fields: Sequence[str]) -> list[bytes | None]:
        """Fetch the bodies of kept originals; the ledger has their properties beside them."""
        return [None if found is None else unpack(found)[1] for found in super().originals(run_id, fields)]

    def finish(self, hold: Hold, state: str, fields: dict[str, str]) -> None:
        """Close the run in the ledger; nothing is held any longer."""
        self._pass = None
        self._give_back()
        super().finish(hold, state, fields)

    def close(self) -> None:
        """Let go of the connections; what was not acknowledged goes back into its queue."""
        for place in Place:
            self._drop_spool(place)
        self._pass, self._in_flight = None, 0
        self._give_back()
        self._publisher = None
        self._rabbit.close()
        super().close()

    # the batch

    def _lot(self, route: Route, batch: Batch, taken: list[Delivery], actions: bytes) -> Lot:
        """Say where each message of a batch goes, and which originals are kept."""
        edited = iter(batch.edited)
        lot = Lot(taken, actions)
        for delivery, code in zip(taken, actions, strict=True):
            action = bytes([code])
            body = next(edited) if action == EDIT else delivery.body
            lot.goals.append(self._goal(route, action, delivery, body, self._suspicion(lot, delivery)))
            if action in {EDIT, QUARANTINE, DROP}:
                lot.originals += [f"{batch.sequence}:{lot.selected}", pack(delivery)]
            lot.selected += action != KEEP
        return lot

    def _goal(self, route: Route, action: bytes, delivery: Delivery, body: bytes, duplicate: str) -> Outgoing | None:
        if action == DROP:
            return None
        if action == QUARANTINE:
            return to_queue(self.config.quarantine, delivery.properties, body, duplicate)
        place = route.source if action == KEEP else route.redrive_to
        if place is Place.LIVE and self.config.redrive_to == "x-death":
            return to_origin(self.config.live, delivery.properties, body, duplicate)
        return to_queue(self._lists[place], delivery.properties, body, duplicate)

    def _suspicion(self, lot: Lot, delivery: Delivery) -> str:
        """Name the batch in which a message may have been moved before, if there is one."""
        digest = fingerprint(delivery.body) if self._suspects else b""
        if not self._suspects.get(digest):
            return ""
        self._suspects[digest] -= 1
        lot.duplicates += 1
        return self._suspected

    def _publish(self, goals: list[Outgoing]) -> Future[Any]:
        if self._publisher is None:
            self._publisher = Publisher(self._rabbit)
        return self._publisher.publish(goals)

    def _confirm(self, hold: Hold, route: Route, batch: Batch, lot: Lot, published: Future[Any]) -> Receipt:
        """Wait for the confirms, write the ledger, then acknowledge."""
        returned: list[int] = self._rabbit.wait(self._what("publish"), published)
        self._in_flight -= 1
        if returned:
            lot = lot.without(returned, batch.sequence)
        entries = lot.entries(batch.entries)
        scanned = len(lot.taken)
        header = HEADER.pack(scanned, scanned - lot.selected, _UNKNOWN_ARRIVALS, batch.wave, now_ms())
        depth = self.depth(route.source)
        self._write(hold.run_id, batch, header + entries, depth, route.undoes, lot)
        front = self._taken()
        if not lot.back:
            front.acknowledge(lot.taken)
            return Receipt(scanned, batch.count - scanned, depth, lot.selected)
        front.give_back(lot.taken, lot.back)
        raise UnroutableError(
            f"queue {self.config.name}: {len(lot.back):,} messages of a batch found no queue to go to; they are back in"
            f" {self._lists[route.source]}."
        )

    # going on

    def _repeated(self, run_id: str, sequence: int, source: Place) -> Receipt | None:
        """Give the receipt of a batch that the ledger has already."""
        (blob,) = self._wire.call(self._what("look a batch up"), "HMGET", self._keys.batches(run_id), sequence)
        if blob is None:
            return None
        done = LedgerBatch.unpack(sequence, blob)
        return Receipt(done.scanned, 0, self.depth(source), len(done), repeated=True)

    def _catch_up(self, record: RunRecord, front: Pass) -> None:
        """Find out how far the last process came: what it had confirmed goes, what it had published is suspect."""
        key = self._keys.posts(record.run_id)
        raw = self._wire.call(self._what("catch up"), "HGETALL", key)
        pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
        posts = {name.decode(): prints for name, prints in pairs}
        numbers = sorted(int(name) for name in posts if name.isdigit())
        for number in numbers:
            prints = posts[str(number)]
            if number <= record.sequence:
                acknowledge_again(front, prints)
                continue
            posts[f"suspect {number} {now_ms()}"] = prints
            self._wire.call(self._what("catch up"), "HSET", key, f"suspect {number} {now_ms()}", prints)
            self._wire.call(self._what("catch up"), "HDEL", key, str(number))
        self._suspected = record.run_id
        for name, prints in posts.items():
            if not name.isdigit():
                self._suspects.update(split_prints(prints))

    # places

    def _ready(self, place: Place) -> int:
        try:
            return self._rabbit.count(self._what("count"), self._lists[place])
        except QueueMissingError:
            if place is Place.QUARANTINE:  # it is made when something is quarantined
                return 0
            raise

    def _settled(self, place: Place) -> int:
        """Count again until the number stays: a quorum queue counts what came back to it a moment later."""
        count, before = self._ready(place), -1
        for _ in range(_COUNTS):
            if count == before:
                break
            time.sleep(_BETWEEN)
            count, before = self._ready(place), count
        return count

    def _intake(self, place: Place) -> Intake:
        return Intake(self._rabbit, self._lists[place], lambda: self._settled(place))

    def _reads(self, place: Place) -> bool:
        """Say whether a pass reads a place: then its front is ours, and a look at it would find less."""
        return self._pass is not None and self._pass[1] is place

    def _taken(self) -> Pass:
        """Take the front of the pass's source, if that is not done yet."""
        if self._front is None:
            if self._pass is None:
                raise LedgerError(f"queue {self.config.name}: no pass has begun.")
            record, place = self._pass
            self._front = Pass(self._intake(place))
            self._catch_up(self._record(self._keys, record.run_id) or record, self._front)
        return self._front

    def _give_back(self) -> None:
        """Let go of what the pass holds; it is taken again when it is read again."""
        if self._front is not None:
            self._front.close()
            self._front = None

    def _spool(self, place: Place) -> Spool:
        if self._reads(place) and not self._in_flight:
            self._give_back()
        if place not in self._spools:
            self._spools[place] = Spool(lambda: self._intake(place), self._settled(place))
        return self._spools[place]

    def _drop_spool(self, place: Place) -> None:
        spool = self._spools.pop(place, None)
        if spool is not None:
            spool.close()
