"""The ledger of a RabbitMQ queue, in Redis: a batch is noted before it is published, and written once confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.base import KEEP
from dlq.brokers.rabbit_lot import Suspects, acknowledge_again
from dlq.brokers.rabbit_notes import FOUND, SUSPECT, Copies, Note
from dlq.brokers.redis_ledger import RedisLedger, now_ms, same
from dlq.records.ledger import ENTRY_BYTES, HEADER, LedgerBatch

if TYPE_CHECKING:
    from dlq.brokers.base import Batch, Hold, Pending, Place
    from dlq.brokers.rabbit_lot import Lot
    from dlq.brokers.rabbit_reading import Pass
    from dlq.records.ledger import RunRecord

UNSETTLED: Final = 16
"""Batches in the ledger whose acknowledgements may not have reached the broker when the process died."""
MAYBE_DUPLICATED: Final = "maybe_duplicated"
"""The fact in the ledger that counts messages which may have been delivered twice."""


class RabbitLedger(RedisLedger):
    """The lock and the ledger of one queue of RabbitMQ."""

    def _post(self, hold: Hold, sequence: int, note: Note) -> list[Any]:
        """Note a batch before it is published; `posted` is answered with 1 where that had been done before."""
        keys = self._keys
        names = [keys.fence, keys.lock, keys.run(hold.run_id), keys.batches(hold.run_id), keys.posts(hold.run_id)]
        args = [hold.token, sequence, note.pack(), self._lock_ms, self._ledger_ms, HEADER.size, ENTRY_BYTES]
        answer: list[Any] = self._wire.script(self._what("note a batch"), same, "post", names, args).result()
        if answer[0] in {b"fenced", b"closed"}:
            self._receipt(hold, answer)
        return answer

    def _write(
        self, run_id: str, batch: Batch, blob: bytes, depth: int, undoes: str | None, lot: Lot
    ) -> Pending[list[Any]]:
        """Write a confirmed batch; what answers has it. What it found of another run is written with that."""
        keys, run = self._keys, self._keys.run(run_id)
        undone = keys.run(undoes) if undoes else run
        names = [run, keys.batches(run_id), keys.posts(run_id), keys.originals(run_id), keys.signatures(run_id), undone]
        names.append(keys.posts(lot.left_by or run_id))
        args: list[Any] = [batch.sequence, blob, batch.count, batch.count - len(lot.taken), depth, ENTRY_BYTES]
        args += [now_ms(), self._ledger_ms, lot.counts_as, lot.duplicates, batch.sequence - UNSETTLED]
        args += [int(bool(lot.back)), Note(None, lot.gone(), KEEP).pack() if lot.back and lot.gone() else b""]
        args += [f"{FOUND}{run_id} {batch.sequence}", b"".join(lot.found.values()), len(batch.signatures)]
        args += [part for pair in batch.signatures for part in pair]
        args += lot.originals
        return self._wire.script(self._what("write the ledger"), same, "confirm", names, args)

    def _notes(self, run_id: str) -> dict[str, bytes]:
        """Read what is noted of a run's batches, by their numbers or names."""
        raw = self._wire.call(self._what("catch up"), "HGETALL", self._keys.posts(run_id))
        pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
        return {name.decode(): note for name, note in pairs}

    def _catch_up(self, record: RunRecord, place: Place, front: Pass) -> Suspects:
        """Find out how far the last process came: what it had confirmed goes, what it had published is suspect.

        `front` is that of the place.
        """
        suspect, confirmed = self._sort(record, place, front)
        return Suspects(record.run_id, suspect, confirmed)

    def _sort(self, record: RunRecord, place: Place, front: Pass) -> tuple[list[Note], list[Note]]:
        """Give the notes of batches that were not confirmed, and of those that may come back all the same.

        The former get names of their own, since their numbers are used again.
        """
        key, notes = self._keys.posts(record.run_id), self._notes(record.run_id)
        suspect = [Note.unpack(raw) for name, raw in notes.items() if name.startswith(SUSPECT)]
        confirmed: list[Note] = []
        for number in sorted(int(name) for name in notes if name.isdigit()):
            note = Note.unpack(notes[str(number)])
            if note.source is None:
                continue  # whoever puts it repeats it
            if number > record.sequence:
                suspect.append(note)
                name = f"{SUSPECT}{number} {now_ms()}"
                self._wire.call(self._what("catch up"), "HSET", key, name, notes[str(number)])
                self._wire.call(self._what("catch up"), "HDEL", key, str(number))
            elif note.source is place and not self._acknowledged_again(record, number, note, front):
                confirmed.append(note)  # acknowledged, most likely; if it comes back all the same, it is marked
        return suspect, confirmed

    def _unheard_of(self, run_id: str, place: Place) -> bool:
        """Say whether there are notes of batches from a place."""
        notes = self._notes(run_id).items()
        return any(name.isdigit() and Note.unpack(raw).source is place for name, raw in notes)

    def _acknowledged_again(self, record: RunRecord, number: int, note: Note, front: Pass) -> bool:
        """Acknowledge a confirmed batch that stands at the front again; say whether it does."""
        # Copies of kept messages stand at the front too, once the pass is at its end: they must stay.
        is_theirs = record.remaining > 0 or self._moved(record.run_id, number)
        return is_theirs and acknowledge_again(front, number, note.prints)

    def _copies(self, record: RunRecord, suspect: list[Note], confirmed: list[Note]) -> Copies:
        """Gather what a run may have left somewhere, but for what rollbacks have found of it."""
        copies = Copies(record.run_id, suspect, confirmed)
        for name, rows in self._notes(record.run_id).items():
            if name.startswith(FOUND):
                copies.forget(rows)
        return copies

    def _moved(self, run_id: str, sequence: int) -> bool:
        """Say whether a confirmed batch moved anything, rather than keep all of it."""
        (blob,) = self._wire.call(self._what("look a batch up"), "HMGET", self._keys.batches(run_id), sequence)
        return blob is not None and len(LedgerBatch.unpack(sequence, blob)) > 0
