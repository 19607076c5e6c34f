"""How fast the consumers of a queue take messages, for the plan's duration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dlq.summaries import samples
from dlq.systems.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlq.config.settings import Settings
    from dlq.records.notebook import Notebook
    from dlq.summaries.samples import Sample

_BACK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Consumption:
    """Messages a second that the consumers take; None when nobody knows. `source` says where it is from."""

    per_second: float | None
    source: str


def consumption(settings: Settings, notebook: Notebook, queue: str) -> Consumption:
    """Ask Prometheus, else look at the samples in which the live queue became shorter."""
    metrics = Metrics.of(settings)
    try:
        reading = metrics.processing_rate(queue)
    finally:
        metrics.close()
    if reading.value:
        return Consumption(reading.value, reading.source)
    seen = from_samples(samples.history(notebook, datetime.now(UTC) - _BACK))
    if seen is not None:
        return Consumption(seen, "samples of the live queue, at least")
    return Consumption(None, "not measured: no samples of a live queue that becomes shorter, no Prometheus")


def from_samples(seen: Sequence[Sample]) -> float | None:
    """Give the fastest fall of the live queue, in messages a second; producers may hide some of it."""
    falls = [
        (before.live - after.live) / (after.at - before.at).total_seconds()
        for before, after in pairwise(seen)
        if after.live < before.live and after.at > before.at
    ]
    return max(falls, default=None)
