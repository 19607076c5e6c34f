"""A queue in memory with the semantics of the Redis one: for tests of policy, and as the plainest statement of them."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dlq.brokers.base import (
    DROP,
    EDIT,
    KEEP,
    MOVED,
    QUARANTINE,
    Batch,
    Capabilities,
    Hold,
    Pending,
    Place,
    Ready,
    Receipt,
    Route,
)
from dlq.errors import LockedError, LockLostError
from dlq.records.ledger import ENTRY_BYTES, HEADER, LedgerBatch, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlq.config.settings import QueueConfig


@dataclass(slots=True)
class MemoryRun:
    """What the ledger has of one run."""

    fields: dict[str, str] = field(default_factory=dict)
    batches: dict[int, bytes] = field(default_factory=dict)
    originals: dict[str, bytes] = field(default_factory=dict)
    signatures: dict[int, str] = field(default_factory=dict)

    def add(self, name: str, by: int) -> None:
        """Count `by` more."""
        self.fields[name] = str(int(self.fields.get(name, "0")) + by)


@dataclass(slots=True)
class MemoryStore:
    """What outlives a connection: lists (newest first), runs, lock and fence of one queue."""

    lists: dict[Place, list[bytes]] = field(default_factory=lambda: {place: [] for place in Place})
    runs: dict[str, MemoryRun] = field(default_factory=lambda: defaultdict(MemoryRun))
    fence: int = 0
    lock: tuple[str, str, float, float] | None = None  # run, who, since, expires


class MemoryQueue:
    """One queue in the memory of this process."""

    capabilities = Capabilities()

    def __init__(self, config: QueueConfig, store: MemoryStore | None = None, *, lock_seconds: float = 30) -> None:
        """Work on `store`, which several queues may share as several connections would."""
        self.config = config
        self.store = store or MemoryStore()
        self._lock_seconds = lock_seconds

    def depth(self, place: Place) -> int:
        """Count the messages at a place."""
        return len(self.store.lists[place])

    def read(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the consumer's end, oldest first."""
        messages = self.store.lists[place]
        end = len(messages) - skip
        return Ready(messages[max(0, end - count) : max(0, end)][::-1])

    def read_newest(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the producer's end, newest first."""
        return Ready(self.store.lists[place][skip : skip + count])

    def lengths(self, place: Place, skips: Sequence[int]) -> Pending[list[int]]:
        """Measure single messages, counted from the consumer's end, in bytes; 0 where there is none."""
        messages = self.store.lists[place]
        return Ready([len(messages[-(skip + 1)]) if skip < len(messages) else 0 for skip in skips])

    def acquire(self, run_id: str, who: str, *, take_over: bool = False) -> Hold:
        """Take the queue's lock, or raise LockedError with who has it and since when."""
        now = time.monotonic()
        held = self.store.lock
        if held and held[3] > now and not (take_over and held[0] == run_id):
            since = datetime.fromtimestamp(held[2], UTC)
            raise LockedError(
                f"queue {self.config.name} is held by another run",
                run=held[0],
                who=held[1],
                since=since.isoformat(timespec="seconds"),
                expires_in=f"{held[3] - now:.0f} s",
            )
        self.store.fence += 1
        self.store.lock = (run_id, who, time.time(), now + self._lock_seconds)
        return Hold(run_id, who, self.store.fence)

    def holder(self) -> str | None:
        """Say which run holds the lock, and whose it is."""
        held = self.store.lock
        return f"{held[0]} of {held[1]}" if held and held[3] > time.monotonic() else None

    def renew(self, hold: Hold) -> None:
        """Keep the lock, or raise LockLostError."""
        self._check(hold)
        since = self.store.lock[2] if self.store.lock else time.time()
        self.store.lock = (hold.run_id, hold.who, since, time.monotonic() + self._lock_seconds)

    def release(self, hold: Hold) -> None:
        """Give the lock back; does nothing when it is no longer ours."""
        if hold.token == self.store.fence:
            self.store.fence += 1
            self.store.lock = None

    def settle(self, _hold: Hold, _run_id: str) -> dict[Place, int]:
        """Find nothing: a batch and its record are one step."""
        return {}

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin pass number `step` of a run: freeze its selection."""
        self._check(hold)
        run = self.store.runs[hold.run_id]
        if int(run.fields.get("pass", "-1")) < step:
            depth = self.depth(route.source)
            frozen = depth if length < 0 else min(length, depth)
            run.fields |= {
                "pass": str(step),
                "frozen": str(frozen),
                "remaining": str(frozen),
                "depth": str(depth),
            }
            run.fields |= fields | {"state": "running"}
        elif run.fields.get("state") == "stopped":
            run.fields["state"] = "running"
        return RunRecord.from_fields(hold.run_id, run.fields)

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Do one batch, with its ledger entry; the same sequence number is done once only."""
        self._check(hold)
        run = self.store.runs[hold.run_id]
        source = self.store.lists[route.source]
        if batch.sequence in run.batches:
            done = LedgerBatch.unpack(batch.sequence, run.batches[batch.sequence])
            return Ready(Receipt(done.scanned, 0, len(source), len(done), repeated=True))
        if run.fields.get("state") != "running":
            raise LockLostError(f"run {hold.run_id} on queue {self.config.name} is closed; nothing was moved.")
        vanished = _vanished(source, batch)
        if vanished is None:
            return Ready(MOVED)
        depth = len(source)
        receipt = self._move(run, route, batch, vanished)
        arrived = depth - int(run.fields["depth"]) + vanished
        header = HEADER.pack(
            receipt.scanned, receipt.scanned - receipt.selected, arrived, batch.wave, int(time.time() * 1000)
        )
        entries = batch.entries[len(batch.entries) - receipt.selected * ENTRY_BYTES :]
        run.batches[batch.sequence] = header + entries
        run.signatures |= dict(batch.signatures)
        self._account(run, route, batch, receipt)
        return Ready(receipt)

    def unstash(self, hold: Hold, undoes: str, sequence: int, fields: Sequence[str], entries: bytes) -> int:
        """Put dropped originals of a run back into the DLQ; return how many were."""
        self._check(hold)
        run, undone = self.store.runs[hold.run_id], self.store.runs[undoes]
        if sequence in run.batches:
            return len(LedgerBatch.unpack(sequence, run.batches[sequence]))
        rows = [entries[i : i + ENTRY_BYTES] for i in range(0, len(entries), ENTRY_BYTES)]
        rows = [row for name, row in zip(fields, rows, strict=True) if name in undone.originals]
        found = [undone.originals.pop(name) for name in fields if name in undone.originals]
        self.store.lists[Place.DLQ][:0] = found[::-1]
        run.batches[sequence] = HEADER.pack(len(found), 0, 0, 0, int(time.time() * 1000)) + b"".join(rows)
        run.fields["sequence"] = str(sequence)
        run.add("redriven", len(found))
        undone.add("rolled_back", len(found))
        return len(found)

    def put(self, hold: Hold, sequence: int, messages: Sequence[bytes], entries: bytes) -> int:
        """Put messages from outside at the producer's end of the DLQ; the same sequence is done once."""
        self._check(hold)
        run = self.store.runs[hold.run_id]
        if sequence in run.batches:
            return 0
        self.store.lists[Place.DLQ][:0] = list(messages)[::-1]
        run.batches[sequence] = HEADER.pack(len(messages), 0, 0, 0, int(time.time() * 1000)) + entries
        run.fields["sequence"] = str(sequence)
        run.add("restored", len(messages))
        return len(messages)

    def finish(self, hold: Hold, state: str, fields: dict[str, str]) -> None:
        """Close the run in the ledger."""
        self._check(hold)
        self.store.runs[hold.run_id].fields |= {
            "state": state,
            "ended_at": str(int(time.time() * 1000)),
            **fields,
        }

    def annotate(self, run_id: str, fields: dict[str, str]) -> None:
        """Add facts to a run in the ledger whoever holds the lock."""
        self.store.runs[run_id].fields |= fields

    def runs(self, limit: int) -> list[RunRecord]:
        """List the newest runs of the queue."""
        newest = list(self.store.runs)[::-1][:limit]
        return [RunRecord.from_fields(run_id, self.store.runs[run_id].fields) for run_id in newest]

    def run(self, run_id: str) -> RunRecord | None:
        """Look a run up."""
        run = self.store.runs.get(run_id)
        return RunRecord.from_fields(run_id, run.fields) if run else None

    def batches(self, run_id: str, after: int = 0) -> Iterator[LedgerBatch]:
        """Stream the ledger of a run, in the order of its commits, from behind sequence number `after`."""
        for number, blob in sorted(self.store.runs[run_id].batches.items()):
            if number > after:
                yield LedgerBatch.unpack(number, blob)

    def originals(self, run_id: str, fields: Sequence[str]) -> list[bytes | None]:
        """Fetch the kept originals of edited, dropped or quarantined messages."""
        return [self.store.runs[run_id].originals.get(name) for name in fields]

    def signatures(self, run_id: str) -> dict[int, str]:
        """Fetch the signature texts that the run's ledger entries point to."""
        return dict(self.store.runs[run_id].signatures)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _check(self, hold: Hold) -> None:
        if hold.token != self.store.fence:
            raise LockLostError(f"run {hold.run_id} no longer holds queue {self.config.name}; nothing was moved.")

    def _move(self, run: MemoryRun, route: Route, batch: Batch, vanished: int) -> Receipt:
        """Sort the chunk, oldest first, and push it."""
        source = self.store.lists[route.source]
        present = max(0, batch.count - vanished)
        chunk = source[len(source) - present :][::-1]
        actions = batch.actions * batch.count if len(batch.actions) == 1 else batch.actions
        edits = iter(batch.edited[actions[:vanished].count(EDIT) :])
        del source[len(source) - present :]
        entry = 0
        for message, code in zip(chunk, actions[vanished:], strict=True):
            action = bytes([code])
            if action == KEEP:
                source.insert(0, message)
                continue
            if action in {EDIT, QUARANTINE, DROP}:
                run.originals[f"{batch.sequence}:{entry}"] = message
            if action == QUARANTINE:
                self.store.lists[Place.QUARANTINE].insert(0, message)
            elif action != DROP:
                self.store.lists[route.redrive_to].insert(0, next(edits) if action == EDIT else message)
            entry += 1
        return Receipt(present, vanished, len(source), entry)

    def _account(self, run: MemoryRun, route: Route, batch: Batch, receipt: Receipt) -> None:
        actions = batch.actions * batch.count if len(batch.actions) == 1 else batch.actions
        actions = actions[receipt.vanished :]
        same_wave = run.fields.get("wave") == str(batch.wave)
        run.fields |= {"sequence": str(batch.sequence), "wave": str(batch.wave), "depth": str(receipt.depth)}
        run.fields["wave_selected"] = run.fields.get("wave_selected", "0") if same_wave else "0"
        for name, by in {
            "wave_selected": receipt.selected,
            "remaining": -(receipt.scanned + receipt.vanished),
            "scanned": receipt.scanned,
            "vanished": receipt.vanished,
            "kept": actions.count(KEEP),
            "redriven": receipt.selected - actions.count(QUARANTINE) - actions.count(DROP),
            "edited": actions.count(EDIT),
            "quarantined": actions.count(QUARANTINE),
            "dropped": actions.count(DROP),
        }.items():
            run.add(name, by)
        if route.undoes:
            self.store.runs[route.undoes].add("rolled_back", receipt.selected)


def _vanished(source: list[bytes], batch: Batch) -> int | None:
    """Count the oldest messages of the chunk that are gone; None when the chunk cannot be found."""
    if not batch.messages:
        return max(0, batch.count - len(source))
    chunk = [*batch.messages, *batch.beyond][::-1]
    for gone in range(len(chunk)):
        rest = chunk[: len(chunk) - gone]
        if source[len(source) - len(rest) :] == rest:
            return gone
    return None
