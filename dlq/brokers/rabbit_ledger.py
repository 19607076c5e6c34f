"""The ledger of a RabbitMQ queue, in Redis: a batch is noted before it is published, and written once confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.redis_ledger import RedisLedger, now_ms, same
from dlq.records.ledger import ENTRY_BYTES, HEADER

if TYPE_CHECKING:
    from dlq.brokers.base import Batch, Hold
    from dlq.brokers.rabbit_lot import Lot

UNSETTLED: Final = 3
"""Confirmed batches whose acknowledgements may have been lost with the connection."""
MAYBE_DUPLICATED: Final = "maybe_duplicated"
"""The fact in the ledger that counts messages which may have been delivered twice."""


class RabbitLedger(RedisLedger):
    """The lock and the ledger of one queue of RabbitMQ."""

    def _post(self, hold: Hold, sequence: int, prints: bytes) -> list[Any]:
        """Note a batch before it is published: the fingerprints of all its messages."""
        keys = self._keys
        names = [keys.fence, keys.lock, keys.run(hold.run_id), keys.batches(hold.run_id), keys.posts(hold.run_id)]
        args = [hold.token, sequence, prints, self._lock_ms, self._ledger_ms, HEADER.size, ENTRY_BYTES]
        answer: list[Any] = self._wire.script(self._what("note a batch"), same, "post", names, args).result()
        if answer[0] in {b"fenced", b"closed"}:
            self._receipt(hold, answer)
        return answer

    def _write(self, run_id: str, batch: Batch, blob: bytes, depth: int, undoes: str | None, lot: Lot) -> None:
        keys, run = self._keys, self._keys.run(run_id)
        undone = keys.run(undoes) if undoes else run
        names = [run, keys.batches(run_id), keys.posts(run_id), keys.originals(run_id), keys.signatures(run_id), undone]
        args: list[Any] = [batch.sequence, blob, batch.count, batch.count - len(lot.taken), depth, ENTRY_BYTES]
        args += [now_ms(), self._ledger_ms, lot.counts_as, len(batch.signatures)]
        args += [part for pair in batch.signatures for part in pair]
        args += lot.originals
        self._wire.script(self._what("write the ledger"), same, "confirm", names, args).result()
        if lot.duplicates:
            self._wire.call(self._what("count duplicates"), "HINCRBY", run, MAYBE_DUPLICATED, lot.duplicates)
        self._wire.send(self._what("forget"), same, "HDEL", keys.posts(run_id), str(batch.sequence - UNSETTLED))
