"""Put an archive back into the DLQ: each message once, however often this is called and wherever it dies."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.base import REDRIVE, Place, Route
from dlq.engine import archive
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind
from dlq.errors import ArchiveError, DlqError
from dlq.messages.reading import Reading
from dlq.records.ledger import entry_prefix, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue, Hold
    from dlq.config.settings import QueueConfig
    from dlq.engine.archive import Origin

_MOST: Final = 500  # messages a batch
_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. Counts are messages; `before`: they had been put back by an earlier call."""

    run_id: str
    queue: str
    archive: str
    restored: int
    before: int
    not_dropped: int
    """In the archive, but never dropped: the discard did not get to them, or somebody else took them."""


def restore(queue: DeadLetterQueue, config: QueueConfig, address: str, who: str, reason: str = "") -> Restored:
    """Put the messages of an archive back; ArchiveError when it is not complete.

    Where the ledger still has the discard, this is its rollback. Where it has not, the messages come out of the
    archive, under a run of their own whose batches are each done once. What was dropped, and whether an earlier restore
    began, must then be known from beside the archive.
    """
    origin = archive.origin_of(address)
    written = archive.check(address)
    record = queue.run(origin.run_id)
    if record is not None and record.kind == Kind.DISCARD:
        undone = roll_back(queue, config, origin.run_id, who, reason)
        before = record.dropped - undone.withdrawn
        return Restored(
            undone.run_id, config.name, address, undone.withdrawn, before, written.messages - record.dropped
        )
    return _out_of_the_archive(queue, config, address, origin, who, reason)


def _out_of_the_archive(
    queue: DeadLetterQueue, config: QueueConfig, address: str, origin: Origin, who: str, reason: str
) -> Restored:
    facts = archive.noted(address)
    skip: Counter[bytes] = Counter(bytes.fromhex(digest) for digest in facts.get("not_dropped", ()))
    left_out = skip.total()
    run_id = f"{origin.run_id}-restore"
    done = queue.run(run_id)
    total = int(done.facts.get("restored", "0")) if done else 0
    if (done is not None and done.state == "done") or "restored_by" in facts:
        return Restored(run_id, config.name, address, 0, total, left_out)
    _refuse_doubles(queue, address, facts)
    hold = queue.acquire(run_id, who, take_over=True)
    try:
        put = _put(queue, hold, address, skip, {"queue": config.name, "who": who, "reason": reason}, Reading.of(config))
        queue.finish(hold, "done", {"archive": address})
    except (DlqError, KeyboardInterrupt):
        queue.close()  # whatever was on its way is settled by the ledger
        with suppress(DlqError):
            queue.release(hold)
        raise
    archive.note(address, {"restored_by": run_id})  # this outlives the ledger
    queue.release(hold)
    return Restored(run_id, config.name, address, put, total, left_out)


def _refuse_doubles(queue: DeadLetterQueue, address: str, facts: dict[str, Any]) -> None:
    """Refuse what could put a message into the DLQ that is there already, now that the discard's ledger is gone."""
    if "dropped" not in facts:
        raise ArchiveError(
            "The discard did not end, and its ledger has expired: nobody knows what it dropped, and what is in the DLQ"
            ' still. Compare the two; with {"dropped": 0} in the .json file beside the archive all of it is put back',
            archive=address,
        )
    begun = facts.get("restoring")
    if begun and queue.run(begun) is None:
        raise ArchiveError(
            f"Run {begun} began to put it back, did not end, and its ledger has expired: nobody knows what is back"
            " already. Compare with the DLQ; without `restoring` in the .json file beside the archive all is put back",
            archive=address,
        )


def _put(
    queue: DeadLetterQueue, hold: Hold, address: str, skip: Counter[bytes], said: dict[str, str], reading: Reading
) -> int:
    now = str(int(time.time() * 1000))
    fields = {**said, "kind": Kind.RESTORE.value, "started_at": now}
    record = queue.begin(hold, Route(Place.DLQ, Place.DLQ), 0, fields, 0)
    archive.note(address, {"restoring": hold.run_id})
    put = 0
    # Batches are the same at each call, so those that the ledger has are left out.
    for number, batch in enumerate(_batches(address, skip), 1):
        if number <= record.sequence:
            continue
        entries = b"".join(
            entry_prefix(REDRIVE, 0) + fingerprint(raw) + reading.identifier.identity(reading.reader.read(raw))
            for raw in batch
        )
        put += queue.put(hold, number, batch, entries)
    return put


def _batches(address: str, skip: Counter[bytes]) -> Iterator[list[bytes]]:
    left = skip.copy()
    batch: list[bytes] = []
    size = 0
    for message in archive.messages_of(address):
        digest = fingerprint(message)
        if left[digest]:
            left[digest] -= 1
            continue
        if batch and (len(batch) == _MOST or size + len(message) > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += len(message)
    if batch:
        yield batch
