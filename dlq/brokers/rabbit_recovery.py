"""Finds out how far a process came that ended in the middle of a pass, for whoever goes on or takes its run back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.brokers.rabbit_messages import deliveries, to_queue
from dlq.brokers.rabbit_notes import FOUND, SUSPECT, Copies, Note
from dlq.brokers.rabbit_suspects import Suspects, acknowledge_again
from dlq.brokers.redis_ledger import now_ms
from dlq.records.ledger import MAYBE_DUPLICATED, LedgerBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dlq.brokers.base import Hold
    from dlq.brokers.rabbit_flights import Flights
    from dlq.brokers.rabbit_frames import Delivery
    from dlq.brokers.rabbit_places import RabbitPlaces
    from dlq.brokers.rabbit_reading import Pass
    from dlq.brokers.redis_keys import LedgerKeys
    from dlq.brokers.redis_wire import RedisWire
    from dlq.records.ledger import RunRecord


@dataclass(slots=True)
class Recovery:
    """What is suspect in the pass of a queue, by the notes that its ledger has of batches that were under way."""

    wire: RedisWire
    keys: LedgerKeys
    what: Callable[[str], str]
    names: Mapping[Place, str]
    places: RabbitPlaces
    flights: Flights
    suspects: Suspects = field(default_factory=Suspects)
    _left: tuple[str, Copies] = field(init=False, default_factory=lambda: ("", Copies()))
    """The rollback for which they were gathered, and what the run that it takes back may have left."""

    # one goes on

    def catch_up(self, record: RunRecord, place: Place, front: Pass) -> None:
        """Find out what of a run is suspect: what it had confirmed goes, what it had published is published again.

        Where its pass is at the end, and will not move it any more, what stands there again is marked.
        """
        suspect, confirmed = self._sort(record, place, front)
        self.suspects = Suspects(record.run_id, suspect, confirmed)
        if record.remaining:
            return
        self._mark(record.run_id, place, front, self.suspects.came_back(front))
        done = [name for name in self._notes(record.run_id) if name.isdigit() and int(name) <= record.sequence]
        self.forget_notes(record.run_id, done)

    def look_at_all(self, record: RunRecord, least: int, front: Pass) -> RunRecord:
        """Have a resumed pass look at what it kept, too, where it may stand among what it has not looked at.

        The dead process had such messages in hand, and a quorum queue does not give them back behind the others. A
        rollback looks at all there is, the `least`: it knows its messages from those that came later.
        """
        front.hold(1)
        if not any(map(deliveries, front.held)):
            return record
        left = least or record.frozen - record.selected - record.vanished + self.suspects.besides(front)
        self.wire.call(self.what("resume"), "HSET", self.keys.run(record.run_id), "remaining", left)
        return replace(record, remaining=left)

    def close(self, run_id: str, place: Place, front: Pass) -> None:
        """Mark what may have been moved before and did not come by in the pass, which ends."""
        self._mark(run_id, place, front, self.suspects.left(front))

    def unheard_of(self, run_id: str, place: Place) -> bool:
        """Say whether there are notes of batches from a place."""
        notes = self._notes(run_id).items()
        return any(name.isdigit() and Note.unpack(raw).source is place for name, raw in notes)

    def forget_notes(self, run_id: str, names: list[int] | list[str]) -> None:
        """Forget notes of batches that cannot come back."""
        if names:
            self.wire.call(self.what("forget batches"), "HDEL", self.keys.posts(run_id), *names)

    # one takes back

    def settle(self, hold: Hold, run_id: str, record: RunRecord | None) -> dict[Place, int]:
        """Acknowledge again what the ledger has of a run; count what it may have sent somewhere besides.

        `copies_for` gives that to the passes of `hold`. The front of the DLQ is given back by the caller.
        """
        self._left = (hold.run_id, Copies())
        notes = self._notes(run_id)
        if record is None or not notes:
            return {}
        open_ = any(name.isdigit() for name in notes)
        depth = self.places.settled(Place.DLQ, record.remaining + record.kept if open_ else 0)
        self.places.read_by_pass(Place.DLQ)
        front = self.places.take_front()
        suspect, confirmed = self._sort(record, Place.DLQ, front)
        again = front.taken
        self.forget_notes(run_id, front.make_sure())
        self.places.read_by_pass(None)
        self.places.settled(Place.DLQ, depth - again)
        self._left = (hold.run_id, self._copies(record, suspect, confirmed))
        return self._left[1].lie_in()

    def copies_for(self, hold: Hold) -> Copies:
        """Give what the run that this one takes back may have left somewhere."""
        run_id, copies = self._left
        return copies if run_id == hold.run_id else Copies()

    # inside

    def _notes(self, run_id: str) -> dict[str, bytes]:
        """Read what is noted of a run's batches, by their numbers or names."""
        raw = self.wire.call(self.what("catch up"), "HGETALL", self.keys.posts(run_id))
        pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
        return {name.decode(): note for name, note in pairs}

    def _sort(self, record: RunRecord, place: Place, front: Pass) -> tuple[list[Note], list[Note]]:
        """Give the notes of batches that were not confirmed, and of those that may come back all the same.

        The former get names of their own, since their numbers are used again.
        """
        key, notes = self.keys.posts(record.run_id), self._notes(record.run_id)
        suspect = [Note.unpack(raw) for name, raw in notes.items() if name.startswith(SUSPECT)]
        confirmed: list[Note] = []
        for number in sorted(int(name) for name in notes if name.isdigit()):
            note = Note.unpack(notes[str(number)])
            if note.source is None:
                continue  # whoever puts it repeats it
            if number > record.sequence:
                suspect.append(note)
                name = f"{SUSPECT}{number} {now_ms()}"
                self.wire.call(self.what("catch up"), "HSET", key, name, notes[str(number)])
                self.wire.call(self.what("catch up"), "HDEL", key, str(number))
            elif note.source is place and not self._acknowledged_again(record, number, note, front):
                confirmed.append(note)  # acknowledged, most likely; if it comes back all the same, it is marked
        return suspect, confirmed

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
        (blob,) = self.wire.call(self.what("look a batch up"), "HMGET", self.keys.batches(run_id), sequence)
        return blob is not None and len(LedgerBatch.unpack(sequence, blob)) > 0

    def _mark(self, run_id: str, place: Place, front: Pass, back: list[tuple[Delivery, bool]]) -> None:
        """Mark messages of the front: what the pass kept stays at its place, what it moved goes to the DLQ."""
        if not back:
            return
        names = {True: self.names[place], False: self.names[Place.DLQ]}
        goals = [to_queue(names[kept], delivery.header, delivery.body, run_id) for delivery, kept in back]
        self.flights.deliver("publish", goals)
        front.acknowledge_some([delivery for delivery, _ in back])
        self.wire.call(self.what("count"), "HINCRBY", self.keys.run(run_id), MAYBE_DUPLICATED, len(back))
