"""The counts that the looks at a run's messages add up to, by wave and signature; they go through JSON unchanged."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

SENT, GONE, BOUNCED = range(3)
Counts = dict[str, list[int]]
"""By signature key: [sent, gone, bounced]."""


@dataclass(slots=True)
class Tallies:
    """What was seen so far. `sequence`, `settled` are ledger batches: counted, and with nothing in the live queue."""

    sequence: int = 0
    settled: int = 0
    arrived: int = 0
    """Messages that came into the DLQ between the run's start and its batch `sequence`."""
    looked: int = 0
    """Arrivals that were looked at, counted from the run's start."""
    exact: bool = True
    """False: somebody else took messages out of the DLQ, so bounces are looked for in all of it."""
    waves: dict[str, Counts] = field(default_factory=dict)
    """By wave; older ones are added up in stretches, each under its first wave (see `fold`)."""

    def as_dict(self) -> dict[str, Any]:
        """Render for JSON."""
        return asdict(self)

    def total(self, which: int) -> dict[str, int]:
        """Add up one of sent, gone and bounced by signature."""
        total: Counter[str] = Counter()
        for counts in self.waves.values():
            for key, row in counts.items():
                total[key] += row[which]
        return dict(total)

    @property
    def sent(self) -> dict[str, int]:
        """Give what was sent, by signature."""
        return self.total(SENT)

    @property
    def gone(self) -> dict[str, int]:
        """Give what consumers took, by signature."""
        return self.total(GONE)

    @property
    def bounced(self) -> dict[str, int]:
        """Give what came back, by signature."""
        return self.total(BOUNCED)

    @property
    def stretches(self) -> tuple[tuple[int, dict[str, tuple[int, int]]], ...]:
        """Give (first wave, by signature (gone, bounced)) of each stretch, oldest first."""
        return tuple(
            (wave, {key: (row[GONE], row[BOUNCED]) for key, row in self.waves[str(wave)].items()})
            for wave in sorted(map(int, self.waves))
        )

    def fold(self, open_waves: set[int]) -> None:
        """Add neighbours up that nothing is on its way of, as long as they are small beside all that came after them.

        So a stretch begins near any moment in the past, however many waves ago that was, and stretches stay few.
        """
        first_open = min(open_waves, default=None)
        stretches, newer, place = sorted(map(int, self.waves), reverse=True), 0, 0
        while place + 1 < len(stretches):
            young, old = stretches[place : place + 2]
            size = self._size(young)
            closed = first_open is None or young < first_open
            if closed and size + self._size(old) <= newer / 2:
                self._merge(young, old)
                del stretches[place]
            else:
                newer += size
                place += 1

    def bounce(self, wave: int, key: str) -> None:
        """Count a bounce."""
        first = max((first for first in map(int, self.waves) if first <= wave), default=wave)
        self.waves.setdefault(str(first), {}).setdefault(key, [0, 0, 0])[BOUNCED] += 1

    def _size(self, wave: int) -> int:
        return sum(row[SENT] for row in self.waves[str(wave)].values())

    def _merge(self, young: int, old: int) -> None:
        into = self.waves[str(old)]
        for key, row in self.waves.pop(str(young)).items():
            into[key] = [a + b for a, b in zip(into.get(key, (0, 0, 0)), row, strict=True)]
