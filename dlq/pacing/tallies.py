"""The counts that the looks at a run's messages add up to, by wave and signature; they go through JSON unchanged."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

SENT, GONE, BOUNCED = range(3)
Counts = dict[str, list[int]]
"""By signature key: [sent, gone, bounced]."""
_RECENT = 8  # waves whose counts are kept apart; older ones are added up once nothing of them is in the live queue


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
    older: Counts = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Render for JSON."""
        return asdict(self)

    def total(self, which: int) -> dict[str, int]:
        """Add up one of sent, gone and bounced by signature."""
        total: Counter[str] = Counter()
        for counts in (self.older, *self.waves.values()):
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
    def recent(self) -> tuple[tuple[int, dict[str, tuple[int, int]]], ...]:
        """Give (wave, by signature (gone, bounced)) of the last waves, oldest first."""
        newest = sorted(self.waves, key=int)[-_RECENT:]
        return tuple(
            (int(wave), {key: (row[GONE], row[BOUNCED]) for key, row in self.waves[wave].items()}) for wave in newest
        )

    def fold(self, open_waves: set[int]) -> None:
        """Add older waves up that nothing is on its way of."""
        for wave in sorted(self.waves, key=int)[:-_RECENT]:
            if int(wave) not in open_waves:
                for key, row in self.waves.pop(wave).items():
                    into = self.older.setdefault(key, [0, 0, 0])
                    self.older[key] = [a + b for a, b in zip(into, row, strict=True)]

    def bounce(self, wave: int, key: str) -> None:
        """Count a bounce."""
        counts = self.waves.get(str(wave), self.older)
        counts.setdefault(key, [0, 0, 0])[BOUNCED] += 1
