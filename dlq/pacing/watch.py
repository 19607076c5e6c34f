"""What the consumers make of a run's messages, look by look: gone from the live queue, bounced into the DLQ.

A look costs as much as the live queue is long, while something of ours may be in it, and as many messages as came
into the DLQ since the last look, however long that is. What a look found is in `Tallies`, which go through JSON, so
any process can take the next look; the identities that bounced are on a page of the notebook.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from dlq.brokers.base import Place
from dlq.engine.arrivals import read_spans, unseen_spans
from dlq.engine.bounces import MOST, Bounce, note_bounces, noted_bounces
from dlq.engine.multiset import DigestSet
from dlq.engine.run import find_run
from dlq.engine.verify import fingerprints
from dlq.messages.reading import Reading
from dlq.messages.signatures import OTHERS, OTHERS_CODE, Signature
from dlq.pacing.loop_memory import recall, remember
from dlq.pacing.tallies import GONE, SENT, Tallies
from dlq.records.ledger import ENTRY_COLUMNS, unpack_signatures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.queues import QueueConfig
    from dlq.records.ledger import LedgerBatch, RunRecord
    from dlq.records.notebook import Notebook

_ROW = np.dtype(ENTRY_COLUMNS)
_REDRIVEN = (ord("m"), ord("e"))
_LOOKED_UP_AT_ONCE = 50_000
_NOTED_AT_ONCE = 1_000


class Watch:
    """Looks at the outcome of one run."""

    def __init__(
        self, queue: DeadLetterQueue, config: QueueConfig, run_id: str, notebook: Notebook, tallies: Tallies
    ) -> None:
        """Go on from the tallies of the last look; `Tallies()` begins at the run's start."""
        self.tallies = tallies
        self._queue = queue
        self._config = config
        self._run_id = run_id
        self._notebook = notebook
        self._reading = Reading.of(config)
        self._keys: dict[int, str] = {OTHERS_CODE: OTHERS.key}
        self._ledger = _Ledger(queue, run_id)
        self._noted: dict[str, str] | None = None
        self._times: Counter[bytes] = Counter()

    def look(self) -> RunRecord:
        """Look, and bring the tallies up to date; return the run as the ledger has it."""
        record = find_run(self._queue, self._run_id)
        fresh = self._take_in()
        waiting = self._look_for_gone()
        self._look_for_bounced(record, fresh)
        self.tallies.fold(waiting)
        return record

    def _take_in(self) -> list[tuple[int, int]]:
        """Count what was sent since the last look; return (arrived, kept) of those batches."""
        fresh = []
        for batch in self._queue.batches(self._run_id, self.tallies.sequence):
            fresh.append((batch.arrived, batch.kept))
            self.tallies.sequence = batch.sequence
            self.tallies.arrived += batch.arrived
            for code, count in Counter(_redriven(batch)["code"].tolist()).items():
                row = self.tallies.waves.setdefault(str(batch.wave), {}).setdefault(self._key(code), [0, 0, 0])
                row[SENT] += count
        return fresh

    def _look_for_gone(self) -> set[int]:
        """Find what is in the live queue still, all else that was sent is gone; return the waves of what is there.

        The ledger is read once more for that: it may be long, and nothing of it is kept in memory between two looks.
        """
        waiting: Counter[tuple[int, str]] = Counter()
        touched, there = set[int](), set[int]()
        live: DigestSet | None = None
        for batch in self._queue.batches(self._run_id, self.tallies.settled):
            if batch.sequence > self.tallies.sequence:
                break
            rows = _redriven(batch)
            if live is None:
                live = DigestSet(fingerprints(self._queue))
            left = rows["code"][live.take(rows["fingerprint"].tobytes())]
            touched.add(batch.wave)
            for code, count in Counter(left.tolist()).items():
                waiting[batch.wave, self._key(code)] += count
            if there or len(left):
                there.add(batch.wave)
            else:
                self.tallies.settled = batch.sequence
        for wave in touched:
            for key, row in self.tallies.waves.get(str(wave), {}).items():
                row[GONE] = row[SENT] - waiting[wave, key]
        return there

    def _look_for_bounced(self, record: RunRecord, fresh: list[tuple[int, int]]) -> None:
        """Find ours among what came into the DLQ since the last look."""
        depth = self._queue.depth(Place.DLQ)
        newest = depth - record.depth
        unseen = self.tallies.arrived + newest - self.tallies.looked
        if newest < 0 or unseen < 0 or record.vanished or any(arrived < 0 for arrived, _ in fresh):
            self.tallies.exact = False
        if not self.tallies.exact:
            self._take_bounces(((0, depth),), None)
            return
        spans = unseen_spans(depth, newest, fresh[::-1], unseen)
        self._take_bounces(tuple(spans), self.tallies.looked)
        self.tallies.looked += unseen

    def _take_bounces(self, spans: tuple[tuple[int, int], ...], first: int | None) -> None:
        """Note the bounces in some spans; `first` is the number of the first arrival in them, None: unknown."""
        place, seen = first or 0, Counter[bytes]()
        for identities, codes in self._arrivals(spans):
            found: list[Bounce] = []
            mine = self._ledger.of(set(identities))
            for identity, code in zip(identities, codes, strict=True):
                # A number that is the same whenever this arrival is looked at: noting it twice notes it once.
                number = place if first is not None else seen[identity]
                place += 1
                if identity in mine:
                    seen[identity] += 1
                    bounce = self._bounce(f"{identity.hex()}.{number}", identity, mine[identity], code, first is None)
                    if bounce:
                        found.append(bounce)
            for start in range(0, len(found), _NOTED_AT_ONCE):
                some = found[start : start + _NOTED_AT_ONCE]
                note_bounces(self._notebook, self._run_id, self._config, some)

    def _arrivals(self, spans: tuple[tuple[int, int], ...]) -> Iterator[tuple[list[bytes], list[int]]]:
        """Read the identities and signature codes in some spans, many at once: each lot is looked up in the ledger."""
        identities: list[bytes] = []
        codes: list[int] = []
        for chunk in read_spans(self._queue, spans):
            scan = self._reading.lane.entries(chunk)
            identities += scan.identities
            codes += scan.codes
            if len(codes) >= _LOOKED_UP_AT_ONCE:
                yield identities, codes
                identities, codes = [], []
        if codes:
            yield identities, codes

    def _bounce(
        self,
        name: str,
        identity: bytes,
        entries: list[tuple[int, int]],
        code: int,
        again: bool,  # noqa: FBT001 - all of the DLQ is looked at each time
    ) -> Bounce | None:
        """Count one arrival as a bounce of the first of the run's messages that it may be; None when it is none."""
        known = self._names().get(name)
        if known is not None:
            in_wave, of_key, _ = known.split(" ")
            if not again:  # the process that noted it ended before it could say so in the tallies
                self.tallies.bounce(int(in_wave), of_key)
            return None
        before = self._times[identity]
        if before >= len(entries):
            return None
        wave, original = entries[before]
        key, became = self._key(original), self._reading.book.key(code)
        if len(self._names()) >= MOST:  # counted, but nobody remembers which it was
            if not again:
                self.tallies.bounce(wave, key)
            return None
        self._names()[name] = f"{wave} {key} {became}"
        self._times[identity] += 1
        self.tallies.bounce(wave, key)
        return Bounce(name, identity, wave, key, became)

    def _names(self) -> dict[str, str]:
        """Give the bounces that are noted, by arrival."""
        if self._noted is None:
            self._noted = noted_bounces(self._notebook, self._run_id)
            self._times.update(bytes.fromhex(name.partition(".")[0]) for name in self._noted)
        return self._noted

    def _key(self, code: int) -> str:
        if code not in self._keys:
            for other, parts in unpack_signatures(self._queue.signatures(self._run_id)).items():
                self._keys[other] = Signature(*parts).key
        return self._keys.get(code, OTHERS.key)


def _redriven(batch: LedgerBatch) -> np.ndarray:
    """Give the entries of what a batch put into the live queue."""
    rows = np.frombuffer(batch.entries, dtype=_ROW)
    found: np.ndarray = rows[np.isin(rows["action"], _REDRIVEN)]
    return found


def look_back(queue: DeadLetterQueue, config: QueueConfig, run_id: str, notebook: Notebook) -> None:
    """Note the bounces that came since the last look at a run, whatever its pace, after it has ended.

    Does nothing once a later run (a rollback too) has moved the DLQ about.
    """
    newest = queue.runs(1)
    if not newest or newest[0].run_id != run_id or not newest[0].redriven:
        return
    memory = recall(notebook, run_id)
    watch = Watch(queue, config, run_id, notebook, Tallies(**memory.tallies))
    watch.look()
    memory.tallies = watch.tallies.as_dict()
    remember(notebook, run_id, memory)


class _Ledger:
    """What a run has redriven, by identity; read as far as needed, 11 bytes a message."""

    def __init__(self, queue: DeadLetterQueue, run_id: str) -> None:
        self._queue = queue
        self._run_id = run_id
        self._read = 0
        self._blocks: list[tuple[int, np.ndarray, np.ndarray]] = []

    def of(self, identities: set[bytes]) -> dict[bytes, list[tuple[int, int]]]:
        """Give (wave, signature code) of each message of the run that has one of the identities, oldest first."""
        wanted = np.sort(np.frombuffer(b"".join(identities), dtype="<u8"))
        found: dict[bytes, list[tuple[int, int]]] = {}
        for wave, codes, own in self._rows():
            for i in np.flatnonzero(np.isin(own, wanted)).tolist():
                found.setdefault(own[i].tobytes(), []).append((wave, int(codes[i])))
        return found

    def _rows(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for batch in self._queue.batches(self._run_id, self._read):
            self._read = batch.sequence
            rows = np.frombuffer(batch.entries, dtype=_ROW)
            rows = rows[np.isin(rows["action"], _REDRIVEN)]
            if len(rows):
                self._blocks.append((batch.wave, rows["code"].copy(), rows["identity"].copy()))
        return iter(self._blocks)
