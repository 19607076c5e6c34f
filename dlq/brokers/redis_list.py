"""Dead letter queues that are Redis lists: producers push on the left, consumers pop on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlq.brokers.base import Batch, Hold, Pending, Place, Receipt, Route
from dlq.brokers.redis_ledger import RedisLedger, guards_of, now_ms, same
from dlq.brokers.redis_wire import Wire
from dlq.errors import LedgerError
from dlq.ledger import ENTRY_BYTES, RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlq.settings import QueueConfig


class RedisListQueue(RedisLedger):
    """One queue on one Redis, with its lock and ledger beside it."""

    def __init__(self, config: QueueConfig, url: str, *, lock_seconds: float = 30, ledger_days: float = 30) -> None:
        """Prepare; the first call connects. Addresses are those of `redis_address.open_client`."""
        super().__init__(config, Wire(url), lock_seconds=lock_seconds, ledger_days=ledger_days)

    # reading

    def depth(self, place: Place) -> int:
        """Count the messages at a place."""
        return int(self._wire.call(self._what("depth"), "LLEN", self._lists[place]))

    def read(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the consumer's end, oldest first."""
        key = self._lists[place]
        return self._wire.send(self._what("read"), _reversed, "LRANGE", key, -(skip + count), -(skip + 1))

    def read_newest(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the producer's end, newest first."""
        key = self._lists[place]
        return self._wire.send(self._what("read"), same, "LRANGE", key, skip, skip + count - 1)

    def lengths(self, place: Place, skips: Sequence[int]) -> Pending[list[int]]:
        """Measure single messages, counted from the consumer's end, in bytes; 0 where there is none."""
        places = [-(skip + 1) for skip in skips]
        return self._wire.script(self._what("measure"), same, "lengths", [self._lists[place]], places)

    # a run

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin pass number `step` of a run: freeze its selection."""
        keys = [self._lists[route.source], self._keys.fence, self._keys.run(hold.run_id), self._keys.runs]
        flat = [part for pair in fields.items() for part in pair]
        args = [hold.token, step, hold.run_id, now_ms(), self._ledger_ms, length, *flat]
        answer = self._wire.script(self._what("begin a run"), same, "begin", keys, args).result()
        if answer[0] == b"fenced":
            raise self._lost(hold, [])
        if answer[0] == b"wrongtype":
            raise self._wrong_type(answer[1])
        record = self.run(hold.run_id)
        if record is None:
            raise LedgerError(f"queue {self.config.name}: the ledger of run {hold.run_id} vanished as it began.")
        return record

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Do one batch atomically, with its ledger entry."""
        run = self._keys.run(hold.run_id)
        keys = [
            self._lists[route.source],
            self._keys.fence,
            self._keys.lock,
            run,
            self._keys.batches(hold.run_id),
            self._keys.originals(hold.run_id),
            self._keys.signatures(hold.run_id),
            self._lists[route.redrive_to],
            self._lists[Place.QUARANTINE],
            self._keys.run(route.undoes) if route.undoes else run,
        ]
        guards = guards_of(batch.messages)
        args: list[Any] = [hold.token, batch.sequence, batch.count, batch.actions, batch.entries, ENTRY_BYTES]
        args += [self._lock_ms, self._ledger_ms, now_ms(), batch.wave, len(guards)]
        for guard in guards:
            args += guard
        args.append(len(batch.signatures))
        for code, text in batch.signatures:
            args += (code, text)
        args += batch.edited
        return self._wire.script(self._what("commit"), lambda answer: self._receipt(hold, answer), "commit", keys, args)

    def unstash(self, hold: Hold, undoes: str, sequence: int, fields: Sequence[str], entries: bytes) -> int:
        """Put dropped originals of a run back into the DLQ; return how many were."""
        keys = [
            self.config.dlq,
            self._keys.fence,
            self._keys.lock,
            self._keys.run(hold.run_id),
            self._keys.batches(hold.run_id),
            self._keys.run(undoes),
            self._keys.originals(undoes),
        ]
        args = [hold.token, sequence, entries, ENTRY_BYTES, self._lock_ms, self._ledger_ms, now_ms(), *fields]
        answer = self._wire.script(self._what("put back"), same, "unstash", keys, args).result()
        if answer[0] == b"fenced":
            raise self._lost(hold, [])
        if answer[0] == b"wrongtype":
            raise self._wrong_type(answer[1])
        return int(answer[1])


def _reversed(answer: list[bytes]) -> list[bytes]:
    answer.reverse()
    return answer
