"""What runs took out of a DLQ, and put back into it, in a span of time, by signature: read from the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dlq.engine.run import Kind
from dlq.messages.signatures import OTHERS, Signature
from dlq.records.ledger import ENTRY_COLUMNS, unpack_signatures

if TYPE_CHECKING:
    from datetime import datetime

    from dlq.brokers.base import DeadLetterQueue
    from dlq.records.ledger import RunRecord

_ROW = np.dtype(ENTRY_COLUMNS)
_RUNS = 1_000  # newest runs that are looked at; a queue that has more in a week has other worries
_REDRIVEN = (ord("m"), ord("e"))


@dataclass(slots=True)
class Taken:
    """Messages that runs moved. `by_key` is what left the DLQ, less what rollbacks brought back, by signature key."""

    redriven: int = 0
    quarantined: int = 0
    dropped: int = 0
    rolled_back: int = 0
    by_key: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    runs: list[RunRecord] = field(default_factory=list)

    @property
    def net(self) -> int:
        """Count what left the DLQ for good."""
        return self.redriven + self.quarantined + self.dropped - self.rolled_back


def taken_since(queue: DeadLetterQueue, since: datetime) -> Taken:
    """Read the ledger of every run that moved something since a moment; a batch at a time, whatever their size."""
    taken = Taken()
    of_runs: dict[str, Counter[str]] = {}
    for record in reversed(queue.runs(_RUNS)):  # the oldest first: a rollback comes after what it undoes
        if record.ended_at is not None and record.ended_at < since:
            continue
        taken.runs.append(record)
        if record.kind == Kind.ROLLBACK:
            _put_back(queue, record, since, taken, of_runs)
        else:
            of_runs[record.run_id] = _take(queue, record, since, taken)
    return taken


def _take(queue: DeadLetterQueue, record: RunRecord, since: datetime, taken: Taken) -> Counter[str]:
    """Count the entries of a run's batches since then."""
    codes: Counter[int] = Counter()
    for batch in queue.batches(record.run_id):
        if batch.at < since:
            continue
        rows = np.frombuffer(batch.entries, _ROW)
        redriven = int(np.isin(rows["action"], _REDRIVEN).sum())
        quarantined = int((rows["action"] == ord("q")).sum())
        taken.redriven += redriven
        taken.quarantined += quarantined
        taken.dropped += len(rows) - redriven - quarantined
        codes.update(dict(zip(*(part.tolist() for part in np.unique(rows["code"], return_counts=True)), strict=True)))
    if not codes:
        return Counter()
    known = {code: Signature(*parts) for code, parts in unpack_signatures(queue.signatures(record.run_id)).items()}
    by_key: Counter[str] = Counter()
    for code, count in codes.items():
        signature = known.get(code, OTHERS)
        by_key[signature.key] += count
        taken.names[signature.key] = str(signature)
    taken.by_key.update(by_key)
    return by_key


def _put_back(
    queue: DeadLetterQueue, record: RunRecord, since: datetime, taken: Taken, of_runs: dict[str, Counter[str]]
) -> None:
    """Take a rollback off what its run took. Its ledger has no signatures, so each gets its share of that run's."""
    count = sum(len(batch) for batch in queue.batches(record.run_id) if batch.at >= since)
    taken.rolled_back += count
    undone = of_runs.get(record.undoes or "", Counter())
    whole = undone.total()
    for key, part in undone.items():
        taken.by_key[key] -= round(count * part / whole)
