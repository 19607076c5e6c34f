"""How deep a DLQ was over time: from Prometheus, else from the samples that were kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dlq.summaries import samples

if TYPE_CHECKING:
    from datetime import datetime

    from dlq.records.notebook import Notebook
    from dlq.systems.metrics import Metrics

STEP = timedelta(minutes=5)
OWN = "own samples"


@dataclass(frozen=True, slots=True)
class Course:
    """A number over time, oldest first. `source` says where it is from, `note` why not from Prometheus."""

    points: tuple[tuple[datetime, float], ...]
    source: str
    note: str = ""

    @property
    def peak(self) -> int | None:
        """Give the highest point; None when there is none."""
        return round(max(value for _, value in self.points)) if self.points else None

    @property
    def told(self) -> str:
        """Say in one line where the numbers are from."""
        if not self.points:
            return f"no history: {self.note}"
        return f"{self.source} ({self.note})" if self.note else self.source


def depths(metrics: Metrics, notebook: Notebook, queue: str, since: datetime, step: timedelta = STEP) -> Course:
    """Give the depth of a DLQ since a moment, a point a step at most."""
    series = metrics.depth_range(queue, since, step)
    if series.points:
        return Course(series.points, series.source)
    kept = tuple((sample.at, float(sample.depth)) for sample in samples.history(notebook, since))
    note = series.note if kept else f"{series.note}; no sample was kept since then"
    return Course(_highest(kept, step), OWN, note)


def growths(metrics: Metrics, notebook: Notebook, queue: str, since: datetime, step: timedelta = STEP) -> Course:
    """Give the messages a minute that came into a DLQ since a moment, a point a step at most."""
    series = metrics.growth_range(queue, since, step)
    if series.points:
        return Course(series.points, series.source)
    kept = samples.history(notebook, since)
    points = []
    begin = 0
    for end in range(1, len(kept)):
        while kept[end].at - kept[begin].at > samples.WINDOW and begin < end - 1:
            begin += 1
        growth = samples.growth_per_minute((kept[begin], kept[end]))
        if growth is not None and kept[end].at - kept[begin].at <= 2 * samples.WINDOW:
            points.append((kept[end].at, growth))
    note = series.note if points else f"{series.note}; too few samples were kept since then"
    return Course(_highest(tuple(points), step), OWN, note)


def arrivals(notebook: Notebook, since: datetime, until: datetime) -> int | None:
    """Count what came into the DLQ between two moments; None when the samples do not cover nine tenths of it."""
    kept = [sample for sample in samples.history(notebook, since) if sample.at <= until]
    growth = samples.growth_per_minute(kept)
    if growth is None or kept[-1].at - kept[0].at < 0.9 * (until - since):
        return None
    return round(growth * ((kept[-1].at - kept[0].at) / timedelta(minutes=1)))


def _highest(points: tuple[tuple[datetime, float], ...], step: timedelta) -> tuple[tuple[datetime, float], ...]:
    """Leave the highest point of each step: a peak must not disappear between two."""
    found: dict[int, tuple[datetime, float]] = {}
    for point in points:
        slot = int(point[0].timestamp() // step.total_seconds())
        if slot not in found or point[1] > found[slot][1]:
            found[slot] = point
    return tuple(found[slot] for slot in sorted(found))
