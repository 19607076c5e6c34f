"""What adapters on Redis have in common: the lock, the ledger, and how their scripts' answers are told."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dlq.brokers.base import MOVED, Capabilities, Hold, Place, Receipt
from dlq.brokers.redis_keys import LedgerKeys
from dlq.errors import LedgerError, LockedError, LockLostError, WrongKeyTypeError
from dlq.records.ledger import LedgerBatch, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlq.brokers.redis_wire import RedisWire
    from dlq.config.settings import QueueConfig

_PAGE = 50  # ledger batches fetched in one call: about 1 MB at 1,000 messages a batch
_GUARDS = 6  # messages of a chunk that the script compares before it touches anything
_GUARD_BYTES = 256  # a longer message is compared by its length, its head and its tail


class RedisLedger:
    """The lock and the ledger of one queue, in the hash slot of its DLQ."""

    capabilities = Capabilities()

    def __init__(self, config: QueueConfig, wire: RedisWire, *, lock_seconds: float, ledger_days: float) -> None:
        """Prepare; the first call connects."""
        self.config = config
        self._wire = wire
        self._keys = LedgerKeys(config.dlq)
        self._lock_ms = int(lock_seconds * 1000)
        self._ledger_ms = int(ledger_days * 86_400_000)
        self._lists = {Place.DLQ: config.dlq, Place.LIVE: config.live, Place.QUARANTINE: config.quarantine}

    # the lock

    def acquire(self, run_id: str, who: str, *, take_over: bool = False) -> Hold:
        """Take the queue's lock, or raise LockedError with who has it and since when."""
        args = [run_id, who, now_ms(), self._lock_ms, int(take_over)]
        keys = [self._keys.lock, self._keys.fence]
        answer = self._wire.script(self._what("lock"), same, "acquire", keys, args).result()
        if answer[0]:
            return Hold(run_id, who, int(answer[1]))
        _, run, holder, since, expires = answer
        since_text = _since(since)
        seconds = max(0, int(expires)) / 1000
        raise LockedError(
            f"queue {self.config.name} is held by another run",
            run=run.decode(),
            who=holder.decode(),
            since=since_text,
            expires_in=f"{seconds:.0f} s",
        )

    def holder(self) -> str | None:
        """Say which run holds the lock, and whose it is."""
        run, who = self._wire.call(self._what("look at the lock"), "HMGET", self._keys.lock, "run", "who")
        return f"{run.decode()} of {who.decode()}" if run else None

    def renew(self, hold: Hold) -> None:
        """Keep the lock, or raise LockLostError."""
        args = [hold.token, hold.run_id, hold.who, now_ms(), self._lock_ms]
        keys = [self._keys.lock, self._keys.fence]
        answer = self._wire.script(self._what("renew the lock"), same, "renew", keys, args).result()
        if not answer[0]:
            raise self._lost(hold, answer[1:])

    def release(self, hold: Hold) -> None:
        """Give the lock back; does nothing when it is no longer ours."""
        keys = [self._keys.lock, self._keys.fence]
        self._wire.script(self._what("unlock"), same, "release", keys, [hold.token]).result()

    # the ledger

    def finish(self, hold: Hold, state: str, fields: dict[str, str]) -> None:
        """Close the run in the ledger."""
        flat = [part for pair in fields.items() for part in pair]
        keys = [self._keys.fence, self._keys.run(hold.run_id)]
        args = [hold.token, state, now_ms(), *flat]
        if not self._wire.script(self._what("finish"), same, "finish", keys, args).result():
            raise self._lost(hold, [])

    def annotate(self, run_id: str, fields: dict[str, str]) -> None:
        """Add facts to a run in the ledger whoever holds the lock."""
        flat = [part for pair in fields.items() for part in pair]
        self._wire.call(self._what("add to the ledger"), "HSET", self._keys.run(run_id), *flat)

    def runs(self, limit: int) -> list[RunRecord]:
        """List the newest runs of the queue."""
        ids = self._wire.call(self._what("runs"), "ZREVRANGE", self._keys.runs, 0, limit - 1)
        found = [self.run(run_id.decode()) for run_id in ids]
        return [record for record in found if record is not None]

    def run(self, run_id: str) -> RunRecord | None:
        """Look a run up."""
        return self._record(self._keys, run_id)

    def _record(self, keys: LedgerKeys, run_id: str) -> RunRecord | None:
        raw = self._wire.call(self._what("look a run up"), "HGETALL", keys.run(run_id))
        pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
        fields = {name.decode(): value.decode() for name, value in pairs}
        return RunRecord.from_fields(run_id, fields) if fields else None

    def batches(self, run_id: str, after: int = 0) -> Iterator[LedgerBatch]:
        """Stream the ledger of a run, in the order of its commits, from behind sequence number `after`."""
        record = self.run(run_id)
        last = record.sequence if record else 0
        for start in range(after + 1, last + 1, _PAGE):
            numbers = range(start, min(start + _PAGE, last + 1))
            blobs = self._wire.call(self._what("read the ledger"), "HMGET", self._keys.batches(run_id), *numbers)
            for number, blob in zip(numbers, blobs, strict=True):
                if blob is not None:
                    yield LedgerBatch.unpack(number, blob)

    def originals(self, run_id: str, fields: Sequence[str]) -> list[bytes | None]:
        """Fetch the kept originals of edited, dropped or quarantined messages."""
        if not fields:
            return []
        found: list[bytes | None] = self._wire.call(
            self._what("fetch originals"), "HMGET", self._keys.originals(run_id), *fields
        )
        return found

    def signatures(self, run_id: str) -> dict[int, str]:
        """Fetch the signature texts that the run's ledger entries point to."""
        raw = self._wire.call(self._what("fetch signatures"), "HGETALL", self._keys.signatures(run_id))
        pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
        return {int(code): text.decode() for code, text in pairs}

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    # a run

    def settle(self, _hold: Hold, _run_id: str) -> dict[Place, int]:
        """Find nothing: a batch and its record are one step, and what was between slots came with the lock."""
        return {}

    def _begin(
        self,
        hold: Hold,
        keys: LedgerKeys,
        source: str,
        step: int,
        fields: dict[str, str],
        length: int,
        *,
        depth: int = -1,
    ) -> RunRecord:
        """Begin a pass in the books of one slot; `depth` is said when the source lies in another (-1: look)."""
        names = [source, keys.fence, keys.run(hold.run_id), keys.runs]
        flat = [part for pair in fields.items() for part in pair]
        args = [hold.token, step, hold.run_id, now_ms(), self._ledger_ms, length, depth, *flat]
        answer = self._wire.script(self._what("begin a run"), same, "begin", names, args).result()
        if answer[0] == b"fenced":
            raise self._lost(hold, [])
        if answer[0] == b"wrongtype":
            raise self._wrong_type(answer[1])
        record = self._record(keys, hold.run_id)
        if record is None:
            raise LedgerError(f"queue {self.config.name}: the ledger of run {hold.run_id} vanished as it began.")
        return record

    # answers

    def _receipt(self, hold: Hold, answer: list[Any]) -> Receipt:
        word = answer[0]
        if word in {b"done", b"already"}:
            scanned, vanished, depth, selected = (int(part) for part in answer[1:5])
            return Receipt(scanned, vanished, depth, selected, repeated=word == b"already")
        if word == b"disturbed":
            return MOVED
        if word == b"fenced":
            raise self._lost(hold, answer[1:])
        if word == b"wrongtype":
            raise self._wrong_type(answer[1])
        if word == b"closed":
            state = answer[1].decode() or "gone from the ledger"
            raise LockLostError(f"run {hold.run_id} on queue {self.config.name} is {state}; nothing was moved.")
        raise LedgerError(f"queue {self.config.name}: the batch did not fit its ledger entries ({answer!r}).")

    def _lost(self, hold: Hold, holder: list[bytes]) -> LockLostError:
        text = f"run {hold.run_id} no longer holds queue {self.config.name}; nothing was moved."
        if holder and holder[0]:
            since_text = _since(holder[2])
            text += f" It was taken over by run {holder[0].decode()} of {holder[1].decode()} at {since_text}."
        return LockLostError(text)

    def _wrong_type(self, key: bytes) -> WrongKeyTypeError:
        return WrongKeyTypeError(
            f"queue {self.config.name}: key {key.decode(errors='replace')} is not a list; nothing was moved."
        )

    def _what(self, action: str) -> str:
        return f"queue {self.config.name}: {action}"


def guards_of(messages: Sequence[bytes]) -> list[tuple[int, int, bytes, bytes]]:
    """Pick messages of a chunk to compare, newest first: (place, length, head, tail)."""
    size = len(messages)
    places = sorted({step * (size - 1) // (_GUARDS - 1) for step in range(_GUARDS)}) if size else []
    picked = []
    for place in places:
        message = messages[size - 1 - place]
        if len(message) <= _GUARD_BYTES:
            picked.append((place, len(message), message, b""))
        else:
            picked.append((place, len(message), message[:128], message[-128:]))
    return picked


def _since(milliseconds: bytes) -> str:
    return datetime.fromtimestamp(int(milliseconds or 0) / 1000, UTC).isoformat(timespec="seconds")


def now_ms() -> int:
    """Give the present moment in epoch milliseconds."""
    return int(time.time() * 1000)


def same(answer: Any) -> Any:
    """Take an answer as it came."""
    return answer
