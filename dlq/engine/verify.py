"""What became of the messages of a run, and conservation: nothing is left unexplained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlq.brokers.base import Place
from dlq.engine.bounces import stopped
from dlq.engine.chunks import MOST_READ, ChunkSize
from dlq.engine.multiset import DigestSet
from dlq.engine.run import find_run
from dlq.messages.signatures import Signature
from dlq.records.ledger import ENTRY_COLUMNS, fingerprint, unpack_signatures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue
    from dlq.messages.reading import Reading
    from dlq.records.ledger import LedgerBatch, RunRecord

_REDRIVEN = (ord("m"), ord("e"))
_PUSHED = 1_000  # messages that producers may push while a short live queue is read
_ROW = np.dtype(ENTRY_COLUMNS)


@dataclass(frozen=True, slots=True)
class SignatureOutcome:
    """What became of the redriven messages of one signature. Counts are messages."""

    code: int
    delivered: int
    bounced: int
    pending: int
    stopped: bool = False
    """The run stopped it: what was not redriven is in the DLQ still."""

    @property
    def verdict(self) -> str:
        """One word for it: what all of them did, `partial` when they differ, `stopped` when the run stopped it."""
        if self.stopped:
            return "stopped"
        kinds = [name for name in ("delivered", "bounced", "pending") if getattr(self, name)]
        return kinds[0] if len(kinds) == 1 else "partial"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The conservation of a run: selected = delivered + bounced + pending + quarantined + dropped + rolled back."""

    run_id: str
    selected: int
    delivered: int
    bounced: int
    pending: int
    quarantined: int
    dropped: int
    rolled_back: int
    unexplained: int
    arrived: int
    """Messages that came into the DLQ since the run began."""
    exact: bool
    """False: a later run, or somebody else, took messages out of the DLQ: bounces were looked for in all of it."""
    signatures: tuple[SignatureOutcome, ...]
    breaker: str = ""
    """Why the whole run was stopped by its breaker; empty when it was not."""

    @property
    def verdict(self) -> str:
        """One word for the run: stopped (by its breaker), partial, or what all signatures have in common."""
        if self.breaker:
            return "stopped"
        verdicts = {seen.verdict for seen in self.signatures}
        return verdicts.pop() if len(verdicts) == 1 else "partial" if verdicts else "done"

    @property
    def conservation(self) -> str:
        """The conservation law as a line of text."""
        return (
            f"{self.selected} selected = {self.delivered} delivered + {self.bounced} bounced + {self.pending} pending"
            f" + {self.quarantined} quarantined + {self.dropped} dropped + {self.rolled_back} rolled back"
            f" (unexplained {self.unexplained})"
        )


def verify(queue: DeadLetterQueue, run_id: str, reading: Reading) -> Outcome:
    """Look where the run's messages are now.

    The live queue is read before the DLQ, so that a message on its way between them is seen in at least one; one
    seen in both has bounced. Memory grows with what is pending or has arrived, not with the run.
    """
    record = find_run(queue, run_id)
    pending = DigestSet(fingerprints(queue)) if record.redriven else DigestSet(())
    arrivals, exact = _arrivals(queue, record)
    bounced = DigestSet(_identities(queue, arrivals, reading)) if record.redriven else DigestSet(())
    withdrawn = DigestSet(_withdrawn(queue, run_id))
    totals: Counter[str] = Counter()
    by_code: dict[int, Counter[str]] = {}
    for batch in queue.batches(run_id):
        for code, outcome, count in _outcomes(batch, pending, bounced, withdrawn):
            totals[outcome] += count
            by_code.setdefault(code, Counter())[outcome] += count
    halted = {seen.key for seen in stopped(record)}
    keys = {code: Signature(*parts).key for code, parts in unpack_signatures(queue.signatures(run_id)).items()}
    signatures = tuple(
        SignatureOutcome(code, seen["delivered"], seen["bounced"], seen["pending"], keys.get(code) in halted)
        for code, seen in sorted(by_code.items())
        if seen["delivered"] + seen["bounced"] + seen["pending"]
    )
    explained = sum(totals.values())
    return Outcome(
        run_id,
        selected=record.selected,
        delivered=totals["delivered"],
        bounced=totals["bounced"],
        pending=totals["pending"],
        quarantined=totals["quarantined"],
        dropped=totals["dropped"],
        rolled_back=totals["rolled_back"],
        unexplained=abs(record.selected - explained),
        arrived=sum(length for _, length in arrivals),
        exact=exact,
        signatures=signatures,
        breaker=record.facts.get("breaker", ""),
    )


def _outcomes(
    batch: LedgerBatch, pending: DigestSet, bounced: DigestSet, withdrawn: DigestSet
) -> Iterator[tuple[int, str, int]]:
    """Sort the entries of a batch: (signature code, outcome, messages)."""
    rows = np.frombuffer(batch.entries, dtype=_ROW)
    redriven = np.isin(rows["action"], _REDRIVEN)
    outcome = np.where(rows["action"] == ord("q"), "quarantined", np.where(redriven, "delivered", "dropped"))
    outcome = outcome.astype("<U11")
    outcome[withdrawn.take(rows["fingerprint"].tobytes())] = "rolled_back"
    open_ = np.flatnonzero(outcome == "delivered")
    waiting = pending.take(rows["fingerprint"][open_].tobytes())
    outcome[open_[waiting]] = "pending"
    # Of messages with one identity those bounced that are not waiting; only then one that is seen in both places.
    for some in (open_[~waiting], open_[waiting]):
        back = some[bounced.take(rows["identity"][some].tobytes())]
        pending.put_back(rows["fingerprint"][back[outcome[back] == "pending"]].tobytes())
        outcome[back] = "bounced"
    for (code, name), count in Counter(zip(rows["code"].tolist(), outcome.tolist(), strict=True)).items():
        yield code, name, count


def fingerprints(queue: DeadLetterQueue) -> Iterator[bytes]:
    """Fingerprint the live queue, from the producer's end: concurrent consumers cannot hide a message from this."""
    depth = queue.depth(Place.LIVE)
    # Producers push meanwhile, and move what was there on: read to its very end, twice the depth at the most.
    for chunk in newest_first(queue, Place.LIVE, [(0, 2 * depth + _PUSHED)] if depth else []):
        yield b"".join(map(fingerprint, chunk))


def _identities(queue: DeadLetterQueue, spans: list[tuple[int, int]], reading: Reading) -> Iterator[bytes]:
    for chunk in newest_first(queue, Place.DLQ, spans):
        yield b"".join(reading.lane.entries(chunk).identities)


def _withdrawn(queue: DeadLetterQueue, run_id: str) -> Iterator[bytes]:
    """Fingerprint (as this run pushed them) what later rollbacks took back."""
    record = find_run(queue, run_id)
    for other in record.facts.get("rollbacks", "").split():
        for batch in queue.batches(other):
            yield np.frombuffer(batch.entries, dtype=_ROW)["fingerprint"].tobytes()


def _arrivals(queue: DeadLetterQueue, record: RunRecord) -> tuple[list[tuple[int, int]], bool]:
    """Find where the arrivals since the run's start lie in the DLQ: spans (skip, length) from the producer's end.

    Each commit pushed its kept messages on top of what had arrived before it, and the ledger has both counts, so the
    DLQ reads, newest first: arrivals since the last commit, its kept ones, arrivals before it, and so on.
    """
    depth = queue.depth(Place.DLQ)
    layers = [(batch.arrived, batch.kept) for batch in queue.batches(record.run_id)]
    returned, turned = _later(queue, record)
    known = record.remaining + returned + sum(arrived + kept for arrived, kept in layers)
    if turned or depth < known or any(arrived < 0 for arrived, _ in layers) or record.vanished:
        return [(0, depth)], False
    spans, place, newest = [], 0, depth - known
    for arrived, kept in reversed(layers):
        if newest:
            spans.append((place, newest))
        place += newest + kept
        newest = arrived
    if newest:
        spans.append((place, newest))
    return spans, True


def _later(queue: DeadLetterQueue, record: RunRecord) -> tuple[int, bool]:
    """Say what later runs did to the DLQ: (messages that rollbacks put at the consumer's end, whether it was turned).

    A run that takes messages out leaves no telling where the arrivals since this one lie.
    """
    returned, turned = 0, False
    for other in queue.runs(1000):
        if other.run_id == record.run_id or not (other.started_at and record.started_at):
            continue
        if other.started_at < record.started_at:
            continue
        if other.undoes and other.state == "done":
            returned += other.redriven
        elif other.scanned:
            turned = True
    return returned, turned


def newest_first(queue: DeadLetterQueue, place: Place, spans: list[tuple[int, int]]) -> Iterator[list[bytes]]:
    """Read spans (skip, length) from the producer's end, a chunk at a time."""
    size = ChunkSize(queue, place, MOST_READ)
    for skip, length in spans:
        done = 0
        while done < length:
            chunk = queue.read_newest(place, skip + done, size.count(length - done)).result()
            if not chunk:
                break
            size.saw(chunk)
            done += len(chunk)
            yield chunk
