"""The ledger of a RabbitMQ queue, in Redis: a batch is noted before it is published, and written once confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.base import KEEP
from dlq.brokers.rabbit_notes import FOUND, Note
from dlq.brokers.redis_ledger import RedisLedger, now_ms, same
from dlq.records.ledger import ENTRY_BYTES, HEADER

if TYPE_CHECKING:
    from dlq.brokers.base import Batch, Hold, Pending
    from dlq.brokers.rabbit_lot import Lot

UNSETTLED: Final = 16
"""Batches in the ledger whose acknowledgements may not have reached the broker when the process died."""


class RabbitLedger(RedisLedger):
    """The lock and the ledger of one queue of RabbitMQ."""

    def _post(self, hold: Hold, sequence: int, note: Note) -> list[Any]:
        """Note a batch before it is published; `posted` is answered with 1 where that had been done before."""
        keys = self._keys
        names = [keys.fence, keys.lock, keys.run(hold.run_id), keys.batches(hold.run_id), keys.posts(hold.run_id)]
        args = [hold.token, sequence, note.pack(), self._lock_ms, self._ledger_ms, HEADER.size, ENTRY_BYTES]
        answer: list[Any] = self._wire.script(self._what("note a batch"), same, "post", names, args).result()
        if answer[0] in {b"fenced", b"closed"}:
            self._receipt(hold, answer)
        return answer

    def _write(
        self, run_id: str, batch: Batch, blob: bytes, depth: int, undoes: str | None, lot: Lot
    ) -> Pending[list[Any]]:
        """Write a confirmed batch; what answers has it. What it found of another run is written with that."""
        keys, run = self._keys, self._keys.run(run_id)
        undone = keys.run(undoes) if undoes else run
        names = [run, keys.batches(run_id), keys.posts(run_id), keys.originals(run_id), keys.signatures(run_id), undone]
        names.append(keys.posts(lot.left_by or run_id))
        args: list[Any] = [batch.sequence, blob, batch.count, batch.count - len(lot.taken), depth, ENTRY_BYTES]
        args += [now_ms(), self._ledger_ms, lot.counts_as, lot.duplicates, batch.sequence - UNSETTLED]
        args += [int(bool(lot.back)), Note(None, lot.gone(), KEEP).pack() if lot.back and lot.gone() else b""]
        args += [f"{FOUND}{run_id} {batch.sequence}", b"".join(lot.found.values()), len(batch.signatures)]
        args += [part for pair in batch.signatures for part in pair]
        args += lot.originals
        return self._wire.script(self._what("write the ledger"), same, "confirm", names, args)
