"""Discard messages: first into an archive, complete and read back, and then only those that lie in it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from dlq import archive
from dlq.assess import oldest_first
from dlq.brokers.base import DROP, KEEP, Place
from dlq.errors import BadArgumentError, DlqError
from dlq.ledger import ENTRY_COLUMNS, entry_prefix, fingerprint, pack_signature
from dlq.multiset import DigestSet
from dlq.reading import Reading
from dlq.run import Kind, decider, start
from dlq.sift import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.archive import Written
    from dlq.brokers.base import DeadLetterQueue, Hold
    from dlq.ledger import RunRecord
    from dlq.run import Request, Run
    from dlq.settings import QueueConfig

_ROW = np.dtype(ENTRY_COLUMNS)
_OVER = frozenset({"done", "rolled_back"})
_WAVE = 50_000  # messages


def refuse_everything(request: Request) -> None:
    """Refuse a discard that names no messages."""
    if request.kind is Kind.DISCARD and (request.selector.everything or request.selector.is_everything):
        raise BadArgumentError("Say which messages: nobody discards a whole queue by leaving the selector out.")


def export(
    queue: DeadLetterQueue, config: QueueConfig, hold: Hold, request: Request, reading: Reading, address: str
) -> Written:
    """Write what the request selects into an archive, holding the queue; a retry finds the archive and keeps it."""
    selector = request.selector
    origin = archive.Origin(
        config.name,
        hold.run_id,
        request.who,
        request.reason,
        datetime.now(UTC).isoformat(timespec="seconds"),
        selector.describe(),
    )
    return archive.write(address, origin, _selected(queue, hold, request, reading))


def _selected(queue: DeadLetterQueue, hold: Hold, request: Request, reading: Reading) -> Iterator[bytes]:
    """Stream what a request selects, oldest first, and keep the lock meanwhile."""
    choose = decider(request, reading)
    depth = queue.depth(Place.DLQ)
    left = depth if request.limit is None else min(depth, request.limit)
    for chunk in oldest_first(queue, Place.DLQ, depth):
        size, verdict = choose(chunk).cut(len(chunk), left)
        actions = verdict.actions * size if len(verdict.actions) == 1 else verdict.actions
        for raw, action in zip(chunk, actions, strict=False):
            if action != KEEP[0]:
                yield raw
        left -= len(verdict.entries)
        queue.renew(hold)
        if left <= 0:
            return


def discard(
    queue: DeadLetterQueue, config: QueueConfig, request: Request, run_id: str, place: str
) -> tuple[Written, RunRecord]:
    """Archive below `place`, then drop; called again for the same run it goes on where it stopped."""
    refuse_everything(request)
    address = archive.address_of(place, config.name, run_id)
    record = queue.run(run_id)
    if record is None or record.state not in _OVER:
        reading = Reading.of(config)
        hold = queue.acquire(run_id, request.who, take_over=True)
        try:
            export(queue, config, hold, request, reading, address)
        except (DlqError, KeyboardInterrupt):
            with suppress(DlqError):
                queue.release(hold)
            raise
        record = _drop(start(queue, config, replace(request, archive=address), run_id))
    close(queue, record, address)
    return archive.check(address), record


def _drop(run: Run) -> RunRecord:
    """Drop what lies in the archive, wave by wave, and close the run."""
    try:
        number = max(1, run.record.wave)
        while not run.wave(number, _WAVE).ended:
            number += 1
        return run.finish()
    except (DlqError, KeyboardInterrupt) as exc:
        run.abandon(str(exc) or "interrupted")
        raise


@dataclass(slots=True)
class Archived:
    """Drops what lies in an archive, each message as often as it does, and keeps all else.

    What came into the DLQ after the archive was written is not dropped, however well it fits the selector.
    """

    outstanding: DigestSet
    reading: Reading

    @classmethod
    def of(cls, address: str, reading: Reading) -> Archived:
        """Read which messages an archive holds; ArchiveError when it is not complete."""
        archive.check(address)
        return cls(DigestSet(fingerprint(message) for message in archive.messages_of(address)), reading)

    def __call__(self, messages: list[bytes]) -> Verdict:
        """Decide on a chunk, oldest message first."""
        prints = [fingerprint(message) for message in messages]
        actions, rows, codes, taken = bytearray(), [], [], []
        for mine, message, digest in zip(
            self.outstanding.take(b"".join(prints)).tolist(), messages, prints, strict=True
        ):
            envelope = self.reading.reader.read(message)
            code = self.reading.book.code(envelope)
            codes.append(code)
            actions += DROP if mine else KEEP
            if mine:
                rows.append(entry_prefix(DROP, code) + digest + self.reading.identifier.identity(envelope))
                taken.append(digest)
        return Verdict(bytes(actions), rows, [], codes, taken=tuple(taken))

    def take_back(self, verdict: Verdict) -> None:
        """Count what was not dropped as outstanding again."""
        for digest in verdict.taken:
            self.outstanding.put_back(digest)  # type: ignore[arg-type]

    def new_signatures(self) -> list[tuple[int, str]]:
        """Return the signatures met since the last call."""
        return [(code, pack_signature(signature)) for code, signature in self.reading.book.drain_new()]


def archived(queue: DeadLetterQueue, run_id: str, address: str, reading: Reading) -> Archived:
    """Make the decider of a discard, without what an earlier attempt of the run has dropped already."""
    decide = Archived.of(address, reading)
    for digests in dropped_by(queue, run_id):
        decide.outstanding.take(digests)
    return decide


def dropped_by(queue: DeadLetterQueue, run_id: str) -> Iterator[bytes]:
    """Stream the fingerprints of what a run has dropped."""
    for batch in queue.batches(run_id):
        rows = np.frombuffer(batch.entries, dtype=_ROW)
        yield rows["fingerprint"][rows["action"] == DROP[0]].tobytes()


def close(queue: DeadLetterQueue, record: RunRecord, address: str) -> dict[str, object]:
    """Write beside the archive how much of it was dropped, and which messages were not: those never left the DLQ."""
    rest = DigestSet(fingerprint(message) for message in archive.messages_of(address))
    for digests in dropped_by(queue, record.run_id):
        rest.take(digests)
    left = [digest.hex() for digest in rest.rest()]
    facts: dict[str, object] = {"run_id": record.run_id, "dropped": record.dropped, "not_dropped": left}
    archive.note(address, facts)
    return facts
