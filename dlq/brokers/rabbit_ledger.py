"""The ledger of a RabbitMQ queue, in Redis: a batch is noted before it is published, and written once confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.rabbit_lot import Suspects, acknowledge_again
from dlq.brokers.redis_ledger import RedisLedger, now_ms, same
from dlq.records.ledger import ENTRY_BYTES, HEADER, LedgerBatch

if TYPE_CHECKING:
    from dlq.brokers.base import Batch, Hold, Pending
    from dlq.brokers.rabbit_lot import Lot
    from dlq.brokers.rabbit_reading import Pass
    from dlq.records.ledger import RunRecord

UNSETTLED: Final = 16
"""Batches in the ledger whose acknowledgements may not have reached the broker when the process died."""
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

    def _write(
        self, run_id: str, batch: Batch, blob: bytes, depth: int, undoes: str | None, lot: Lot
    ) -> Pending[list[Any]]:
        """Write a confirmed batch; what answers has it."""
        keys, run = self._keys, self._keys.run(run_id)
        undone = keys.run(undoes) if undoes else run
        names = [run, keys.batches(run_id), keys.posts(run_id), keys.originals(run_id), keys.signatures(run_id), undone]
        args: list[Any] = [batch.sequence, blob, batch.count, batch.count - len(lot.taken), depth, ENTRY_BYTES]
        args += [now_ms(), self._ledger_ms, lot.counts_as, lot.duplicates, batch.sequence - UNSETTLED]
        args += [int(bool(lot.back)), lot.gone() if lot.back else b"", len(batch.signatures)]
        args += [part for pair in batch.signatures for part in pair]
        args += lot.originals
        return self._wire.script(self._what("write the ledger"), same, "confirm", names, args)

    def _catch_up(self, record: RunRecord, front: Pass) -> Suspects:
        """Find out how far the last process came: what it had confirmed goes, what it had published is suspect."""
        key = self._keys.posts(record.run_id)
        raw = self._wire.call(self._what("catch up"), "HGETALL", key)
        pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
        posts = {name.decode(): prints for name, prints in pairs}
        confirmed: list[bytes] = []
        for number in sorted(int(name) for name in posts if name.isdigit()):
            prints = posts[str(number)]
            if number <= record.sequence:
                # Copies of kept messages stand at the front too, once the pass is at its end: they must stay.
                is_theirs = record.remaining > 0 or self._moved(record.run_id, number)
                if not (is_theirs and acknowledge_again(front, number, prints)):
                    confirmed.append(prints)  # acknowledged, most likely; if it comes back all the same, it is marked
                continue
            suspect = f"suspect {number} {now_ms()}"
            posts[suspect] = prints
            self._wire.call(self._what("catch up"), "HSET", key, suspect, prints)
            self._wire.call(self._what("catch up"), "HDEL", key, str(number))
        return Suspects(record.run_id, (prints for name, prints in posts.items() if not name.isdigit()), confirmed)

    def _moved(self, run_id: str, sequence: int) -> bool:
        """Say whether a confirmed batch moved anything, rather than keep all of it."""
        (blob,) = self._wire.call(self._what("look a batch up"), "HMGET", self._keys.batches(run_id), sequence)
        return blob is not None and len(LedgerBatch.unpack(sequence, blob)) > 0
