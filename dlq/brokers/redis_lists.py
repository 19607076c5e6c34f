"""What adapters on Redis have in common beside the ledger: reading lists, and what is said to the commit script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlq.brokers.base import Batch, Hold, Pending, Place
from dlq.brokers.redis_ledger import RedisLedger, guards_of, now_ms, same
from dlq.records.ledger import ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence


class RedisLists(RedisLedger):
    """The three lists of a queue, and the commands on them that need one hash slot each."""

    # reading

    def depth(self, place: Place) -> int:
        """Count the messages at a place."""
        key = self._lists[place]
        return int(self._wire.call(self._what(f"depth of {key}"), "LLEN", key))

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
        return self._wire.script(self._what("measure messages"), same, "lengths", [self._lists[place]], places)

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

    def put(self, hold: Hold, sequence: int, messages: Sequence[bytes], entries: bytes) -> int:
        """Put messages from outside at the producer's end of the DLQ, oldest first; the same sequence is done once."""
        run = hold.run_id
        keys = [self.config.dlq, self._keys.fence, self._keys.lock, self._keys.run(run), self._keys.batches(run)]
        args = [hold.token, sequence, entries, self._lock_ms, self._ledger_ms, now_ms(), *messages]
        answer = self._wire.script(self._what("put"), same, "put", keys, args).result()
        if answer[0] == b"fenced":
            raise self._lost(hold, [])
        if answer[0] == b"wrongtype":
            raise self._wrong_type(answer[1])
        return int(answer[1])

    def _commit_args(self, hold: Hold, batch: Batch) -> list[Any]:
        """Lay a batch out as commit.lua reads it."""
        guards = guards_of([*batch.messages, *batch.beyond])
        args: list[Any] = [hold.token, batch.sequence, batch.count, batch.actions, batch.entries, ENTRY_BYTES]
        args += [self._lock_ms, self._ledger_ms, now_ms(), batch.wave]
        args += [f"{hold.run_id} {batch.sequence}", len(batch.beyond), len(guards)]
        for guard in guards:
            args += guard
        args.append(len(batch.signatures))
        for code, text in batch.signatures:
            args += (code, text)
        args += batch.edited
        return args


def _reversed(answer: list[bytes]) -> list[bytes]:
    answer.reverse()
    return answer
