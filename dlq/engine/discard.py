"""Discard messages: first into an archive, complete and read back, and then only those that lie in it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dlq.brokers.base import KEEP, Place
from dlq.engine import archive
from dlq.engine.archived import dropped_by
from dlq.engine.assess import oldest_first
from dlq.engine.multiset import DigestSet
from dlq.engine.run import Kind, decider, start
from dlq.errors import BadArgumentError, DlqError
from dlq.messages.reading import Reading
from dlq.records.ledger import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue, Hold
    from dlq.config.settings import QueueConfig
    from dlq.engine.archive import Written
    from dlq.engine.run import Request, Run
    from dlq.records.ledger import RunRecord

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


def close(queue: DeadLetterQueue, record: RunRecord, address: str) -> dict[str, object]:
    """Write beside the archive how much of it was dropped, and which messages were not: those never left the DLQ."""
    rest = DigestSet(fingerprint(message) for message in archive.messages_of(address))
    for digests in dropped_by(queue, record.run_id):
        rest.take(digests)
    left = [digest.hex() for digest in rest.rest()]
    facts: dict[str, object] = {"run_id": record.run_id, "dropped": record.dropped, "not_dropped": left}
    archive.note(address, facts)
    return facts
