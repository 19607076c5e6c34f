"""What a run would select next, before it does: how long a wave may be so that no signature gets more than allowed."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from dlq.brokers.base import KEEP, QUARANTINE, Place
from dlq.engine.chunks import ChunkSize

if TYPE_CHECKING:
    from dlq.engine.run import Run
    from dlq.engine.sift import Wave
    from dlq.pacing.windows import Decision

_ASIDE = -1  # stands for a message that goes into the quarantine, which no limit of bounces concerns


class Ahead:
    """Reads on at the consumer's end, ahead of a run's pass, and remembers what would be selected."""

    def __init__(self, run: Run) -> None:
        """Look ahead of a run, whose decider must not change but by skipping signatures."""
        self._run = run
        self._codes: deque[int] = deque()
        self._scanned = 0
        self._size = ChunkSize(run.queue, Place.DLQ)

    def count(self, decision: Decision) -> tuple[int, bool]:
        """Give the size of the longest wave that a decision allows, and whether anything is left to select at all."""
        used: Counter[str] = Counter()
        size = 0
        while size < decision.size:
            if size == len(self._codes) and not self._read_on():
                break
            if size == len(self._codes):
                continue
            code = self._codes[size]
            if code != _ASIDE:
                key = self._run.reading.book.key(code)
                used[key] += 1
                if used[key] > decision.allowed.get(key, decision.others):
                    break
            size += 1
        return size, size < len(self._codes) or size > 0

    def passed(self, wave: Wave) -> None:
        """Forget what a wave has dealt with."""
        self._scanned = max(0, self._scanned - wave.scanned)
        for _ in range(min(wave.selected, len(self._codes))):
            self._codes.popleft()

    def skip(self, keys: set[str]) -> None:
        """Leave out signatures that are kept from now on."""
        book = self._run.reading.book
        self._codes = deque(code for code in self._codes if code == _ASIDE or book.key(code) not in keys)

    def _read_on(self) -> bool:
        """Read one more chunk; False at the end of the pass."""
        left = self._run.sift.remaining - self._scanned
        if left <= 0:
            return False
        chunk = self._run.queue.read(Place.DLQ, self._scanned, self._size.count(left)).result()
        if not chunk:
            return False
        self._size.saw(chunk)
        self._scanned += len(chunk)
        verdict = self._run.decide(chunk)
        actions = verdict.actions * len(chunk) if len(verdict.actions) == 1 else verdict.actions
        for action, code in zip(actions, verdict.codes, strict=True):
            if action != KEEP[0]:
                self._codes.append(_ASIDE if action == QUARANTINE[0] else code)
        return True
