"""Take a run back: withdraw what it put somewhere and nobody has taken yet, and put it back into the DLQ.

A rollback is a run of its own with up to five passes: over the live queue, once more where a producer's messages have
the very bytes of ours, over the quarantine, over the originals of dropped messages, and one that turns the DLQ so that
what came back stands at the consumer's end, in its old order.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from dlq.brokers.base import DROP, EDIT, KEEP, REDRIVE, Hold, Place, Route
from dlq.engine.claims import claim, hold_of, rollbacks_of
from dlq.engine.multiset import DigestSet
from dlq.engine.run import Kind, find_run, new_run_id
from dlq.engine.sift import Sift, Verdict
from dlq.engine.verify import newest_first
from dlq.errors import ArchiveError, BadArgumentError, DeliveryLimitError, DlqError
from dlq.records.ledger import ENTRY_COLUMNS, ORIGINAL, entry_prefix, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.records.ledger import RunRecord

_LIVE, _TWINS, _QUARANTINE, _DROPPED, _TURN = range(5)
_ROW = np.dtype(ENTRY_COLUMNS)
_DIGEST = 8  # bytes of a fingerprint


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback did. Counts are messages."""

    run_id: str
    undoes: str
    withdrawn: int
    """Put back into the DLQ by this rollback."""
    out_of_reach: int
    """Taken by workers (or by somebody else) before this rollback: these cannot be undone."""
    again: int
    """Redriven once more by a later run, and so no longer this run's to withdraw: roll that run back first."""
    maybe_duplicated: int = 0
    """Under way when the run's process died, so that nobody knows whether they were sent: marked in the DLQ."""


class Neighbours(NamedTuple):
    """Fingerprints of what was pushed just before and just after a message, by the same commit."""

    older: set[bytes]
    newer: set[bytes]


@dataclass(slots=True)
class Withdraw:
    """Takes what the run's ledger says that it put here, each as often as it did; leaves all else."""

    outstanding: DigestSet
    originals: dict[bytes, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    """By fingerprint of an edited message: (place, bytes) of each original that became it."""
    twins: Mapping[bytes, Neighbours] = field(default_factory=dict)
    """By fingerprint of a message that somebody else pushed too: left where it is, unless it stands beside ours."""

    def __call__(self, messages: list[bytes]) -> Verdict:
        """Decide on a chunk of the live queue or the quarantine."""
        prints = [fingerprint(message) for message in messages]
        ours = self._ours(prints)
        if not ours.any():
            return Verdict(KEEP, [], [], [])
        actions, entries, edited, taken = bytearray(), [], [], []
        for mine, digest in zip(ours.tolist(), prints, strict=True):
            if not mine:
                actions += KEEP
                continue
            edits = self.originals.get(digest)
            place, original = edits.pop() if edits else (bytes(8), None)
            action = REDRIVE if original is None else EDIT
            actions += action
            entries.append(entry_prefix(action, 0) + digest + place)
            taken.append((digest, place, original))
            if original is not None:
                edited.append(original)
        return Verdict(bytes(actions), entries, edited, [], taken=tuple(taken))

    def _ours(self, prints: list[bytes]) -> np.ndarray:
        """Say of each message whether to take it, and count it off."""
        if not self.twins or self.twins.keys().isdisjoint(prints):
            return self.outstanding.take(b"".join(prints))
        here = [place for place, digest in enumerate(prints) if self._in_place(prints, place, digest)]
        ours = np.zeros(len(prints), dtype=bool)
        ours[here] = self.outstanding.take(b"".join([prints[place] for place in here]))
        return ours

    def _in_place(self, prints: list[bytes], place: int, digest: bytes) -> bool:
        neighbours = self.twins.get(digest)
        if neighbours is None:
            return True
        older = prints[place - 1] if place else None
        newer = prints[place + 1] if place + 1 < len(prints) else None
        return older in neighbours.older or newer in neighbours.newer

    def take_back(self, verdict: Verdict) -> None:
        """Count what was not withdrawn as outstanding again."""
        for digest, place, original in cast("tuple[tuple[bytes, bytes, bytes | None], ...]", verdict.taken):
            self.outstanding.put_back(digest)
            if original is not None:
                self.originals[digest].append((place, original))

    def new_signatures(self) -> list[tuple[int, str]]:
        """Return none: the undone run's ledger has them."""
        return []


def roll_back(
    queue: DeadLetterQueue,
    config: QueueConfig,
    run_id: str,
    who: str,
    reason: str = "",
    *,
    rollback_id: str | None = None,
) -> Undone:
    """Take run `run_id` back; calling it again goes on where an earlier, interrupted rollback stopped."""
    undone = find_run(queue, run_id)
    if undone.kind == Kind.ROLLBACK:
        raise BadArgumentError(f"run {run_id} is itself a rollback; drain again instead of undoing it.")
    hold = hold_of(queue, undone, who, rollback_id or "", new_run_id(config.name))
    try:
        undone = find_run(queue, run_id)  # somebody else may have rolled it back before the lock was ours
        return _take_back(queue, hold, undone, {"queue": config.name, "who": who, "reason": reason})
    except (DlqError, KeyboardInterrupt):
        queue.close()  # whatever was on its way is settled by the ledger
        with suppress(DlqError):
            queue.release(hold)
        raise


def _take_back(queue: DeadLetterQueue, hold: Hold, undone: RunRecord, said: dict[str, str]) -> Undone:
    """Do the passes, and close the rollback."""
    claim(queue, undone.run_id, hold.run_id)
    unrecorded = queue.settle(hold, undone.run_id)
    if not queue.capabilities.exactly_once and queue.run(hold.run_id) is not None:
        queue.annotate(hold.run_id, {"resumed": "yes"})
    now, before = str(int(time.time() * 1000)), str(queue.depth(Place.DLQ))
    fields = {**said, "kind": Kind.ROLLBACK.value, "undoes": undone.run_id, "started_at": now, "dlq_before": before}
    again = _redriven_again(queue, undone)
    _withdraw(queue, hold, undone, fields, again, unrecorded)
    _put_dropped_back(queue, hold, undone)
    _turn(queue, hold)
    done = find_run(queue, hold.run_id)
    after = find_run(queue, undone.run_id)
    out_of_reach = max(0, after.selected - after.rolled_back - len(again))
    queue.finish(hold, "done", {"out_of_reach": str(out_of_reach), "again": str(len(again))})
    queue.annotate(undone.run_id, {"state": "rolled_back"})
    _tell_archive(undone, {"restored_by": hold.run_id})
    queue.release(hold)
    return Undone(hold.run_id, undone.run_id, done.redriven, out_of_reach, len(again), done.maybe_duplicated)


def _tell_archive(undone: RunRecord, facts: dict[str, str]) -> None:
    """Note beside the archive of a discard that its messages go back, and that they are: that outlives the ledger."""
    address = undone.parameters.get("archive")
    if address:
        from dlq.engine import archive  # noqa: PLC0415 - few runs have one

        with suppress(ArchiveError):  # the messages are back, whether it can be reached or not
            archive.note(address, dict(facts))


def _withdraw(
    queue: DeadLetterQueue,
    hold: Hold,
    undone: RunRecord,
    fields: dict[str, str],
    again: list[bytes],
    unrecorded: Mapping[Place, int],
) -> None:
    """Sift the live queue, then the quarantine, for what the run put there, and what it may have without saying so.

    In the live queue may be messages that have the very bytes of ours. Those are left at first, unless they stand
    beside one that was pushed with them; a second pass then takes as many of them as are still ours. There is one, too,
    where an interrupted rollback goes on at a broker that may have given back in another order what it held.
    """
    passes = ((_LIVE, Place.LIVE, b"me"), (_TWINS, Place.LIVE, b"me"), (_QUARANTINE, Place.QUARANTINE, b"q"))
    for step, place, actions in passes:
        route = Route(place, Place.DLQ, undone.run_id)
        concerned = (undone.redriven if place is Place.LIVE else undone.quarantined) + unrecorded.get(place, 0)
        if step == _TWINS and not find_run(queue, hold.run_id).facts.keys() & {"twins", "resumed"}:
            concerned = 0
        record = queue.begin(hold, route, step, fields if step == _LIVE else {}, -1 if concerned else 0)
        if record.step > step or not record.remaining:
            continue
        outstanding = DigestSet(_fingerprints(queue, undone.run_id, actions))
        for name in {*rollbacks_of(undone), hold.run_id}:
            for chunk in _fingerprints(queue, name, b"me"):
                outstanding.take(chunk)
        outstanding.take(b"".join(again))
        originals = _originals(queue, undone, hold.run_id) if place is Place.LIVE and undone.edited else {}
        twins = _twins(queue, undone, outstanding) if step == _LIVE else {}
        if twins:
            queue.annotate(hold.run_id, {"twins": str(len(twins))})
        Sift(queue, hold, route, record, Withdraw(outstanding, originals, twins)).wave(step)


def _twins(queue: DeadLetterQueue, undone: RunRecord, outstanding: DigestSet) -> dict[bytes, Neighbours]:
    """Find what lies in the live queue more often than we put it there, and what we pushed beside it.

    Nothing, where a look is refused: then of messages with the same bytes any may be taken for ours.
    """
    seen = newest_first(queue, Place.LIVE, [(0, queue.depth(Place.LIVE))])
    try:
        more = outstanding.surplus(b"".join(map(fingerprint, chunk)) for chunk in seen)
    except DeliveryLimitError:
        more = b""
    if not more:
        return {}
    wanted = np.frombuffer(more, dtype="<u8")
    twins = {digest.tobytes(): Neighbours(set(), set()) for digest in wanted}
    for pushed in _fingerprints(queue, undone.run_id, b"me"):
        for at in (np.flatnonzero(np.isin(np.frombuffer(pushed, dtype="<u8"), wanted)) * _DIGEST).tolist():
            neighbours = twins[pushed[at : at + _DIGEST]]
            if at:
                neighbours.older.add(pushed[at - _DIGEST : at])
            if at + _DIGEST < len(pushed):
                neighbours.newer.add(pushed[at + _DIGEST : at + 2 * _DIGEST])
    return twins


def _put_dropped_back(queue: DeadLetterQueue, hold: Hold, undone: RunRecord) -> None:
    """Put the kept originals of dropped messages back; the broker gives each out only once."""
    record = queue.begin(hold, Route(Place.DLQ, Place.DLQ), _DROPPED, {}, 0)
    if record.step > _DROPPED or not undone.dropped:
        return
    _tell_archive(undone, {"restoring": hold.run_id})
    number = int(record.facts.get("dropped_from", record.sequence))
    queue.annotate(hold.run_id, {"dropped_from": str(number)})
    for batch in queue.batches(undone.run_id):
        dropped = [(i, row) for i, row in enumerate(batch) if row[0] == DROP]
        if not dropped:
            continue
        number += 1
        names = [f"{batch.sequence}:{i}" for i, _ in dropped]
        entries = b"".join(entry_prefix(REDRIVE, 0) + row[2] + ORIGINAL.pack(batch.sequence, i) for i, row in dropped)
        queue.unstash(hold, undone.run_id, number, names, entries)


def _turn(queue: DeadLetterQueue, hold: Hold) -> None:
    """Rotate what was in the DLQ before, so that what came back is consumed first, as it was."""
    before = int(find_run(queue, hold.run_id).facts.get("dlq_before", "0"))
    route = Route(Place.DLQ, Place.DLQ)
    record = queue.begin(hold, route, _TURN, {}, before)
    Sift(queue, hold, route, record, Withdraw(DigestSet(()))).turn()


def _fingerprints(queue: DeadLetterQueue, run_id: str, actions: bytes) -> Iterator[bytes]:
    """Stream the fingerprints of a run's entries with one of the given actions."""
    for batch in queue.batches(run_id):
        rows = np.frombuffer(batch.entries, dtype=_ROW)
        yield rows["fingerprint"][np.isin(rows["action"], list(actions))].tobytes()


def _originals(queue: DeadLetterQueue, undone: RunRecord, rollback: str) -> dict[bytes, list[tuple[bytes, bytes]]]:
    """Fetch, by fingerprint, the originals of the messages that the run edited and no rollback has put back yet."""
    used = {
        row[3]
        for name in {*rollbacks_of(undone), rollback}
        for batch in queue.batches(name)
        for row in batch
        if row[0] == EDIT
    }
    found: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for batch in queue.batches(undone.run_id):
        edits = [(i, row[2]) for i, row in enumerate(batch) if row[0] == EDIT]
        fetched = queue.originals(undone.run_id, [f"{batch.sequence}:{i}" for i, _ in edits])
        for (i, digest), original in zip(edits, fetched, strict=True):
            place = ORIGINAL.pack(batch.sequence, i)
            if original is not None and place not in used:
                found.setdefault(digest, []).append((place, original))
    return found


def _redriven_again(queue: DeadLetterQueue, undone: RunRecord) -> list[bytes]:
    """Find fingerprints that a later run pushed too: a copy in the live queue is then the later run's."""
    later = [
        record
        for record in queue.runs(1000)
        if record.started_at
        and undone.started_at
        and record.started_at > undone.started_at
        and record.redriven
        and record.kind != Kind.ROLLBACK
    ]
    if not later:
        return []
    ours = DigestSet(_fingerprints(queue, undone.run_id, b"me"))
    for name in rollbacks_of(undone):
        for chunk in _fingerprints(queue, name, b"me"):
            ours.take(chunk)  # taken back before the later run had it
    again: list[bytes] = []
    for record in later:
        taken_back = DigestSet(piece for other in rollbacks_of(record) for piece in _fingerprints(queue, other, b"me"))
        for chunk in _fingerprints(queue, record.run_id, b"me"):
            still = chunk_without(chunk, taken_back)
            shared = np.frombuffer(still, dtype="<u8")[ours.take(still)]
            again += [value.tobytes() for value in shared]
    return again


def chunk_without(digests: bytes, gone: DigestSet) -> bytes:
    """Leave out the digests that `gone` has."""
    left: bytes = np.frombuffer(digests, dtype="<u8")[~gone.take(digests)].tobytes()
    return left
