"""The decider of a discard: drop only what lies in its archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlq.brokers.base import DROP, KEEP
from dlq.engine import archive
from dlq.engine.multiset import DigestSet
from dlq.engine.sift import Verdict
from dlq.messages.reading import Reading
from dlq.records.ledger import ENTRY_COLUMNS, entry_prefix, fingerprint, pack_signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue

_ROW = np.dtype(ENTRY_COLUMNS)


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
