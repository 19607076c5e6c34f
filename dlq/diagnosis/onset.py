"""Since when? The minute at which failures began to come much faster than before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

_FASTER = 3.0  # times the rate from before that count as a beginning
_SURE = 6.0  # gain in log likelihood: far beyond what steady noise shows
_QUIET = 60  # minutes before the oldest message in which nothing failed that we know of
_LONGEST = 14 * 24 * 60  # minutes before the peak that are looked at


@dataclass(frozen=True, slots=True)
class Onset:
    """When it began; `sudden`: there was a time before, with fewer or none. Rates are messages a minute."""

    at: datetime
    sudden: bool
    before: float
    after: float


def onset(per_minute: Mapping[int, int], looked_from: int | None = None) -> Onset | None:
    """Find the beginning in a histogram by epoch minute; None for an empty one.

    Of all splits of the time up to the peak into two steady rates, the likeliest one (Poisson) is taken. The time
    before the first failure counts as well: from `looked_from` on, the minute of the oldest message in the DLQ,
    and an hour before that, since whatever came before has left no message.
    """
    import numpy as np  # noqa: PLC0415 - `dlq --help` must not wait for it

    if not per_minute:
        return None
    first, counts = _until_peak(per_minute, min(per_minute) if looked_from is None else looked_from)
    whole = counts.size
    head = np.cumsum(counts)[:-1]  # messages before split k, for k = 1 ..
    minutes = np.arange(1, whole)
    tail = counts.sum() - head
    low, high = head / minutes, tail / (whole - minutes)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = _term(head, low) + _term(tail, high) - _term(np.array(counts.sum()), np.array(counts.mean()))
    gain[high < _FASTER * low] = 0
    best = int(np.argmax(gain))
    if gain[best] < _SURE:
        return Onset(_moment(min(per_minute)), sudden=False, before=0.0, after=float(counts.sum() / whole))
    return Onset(_moment(first + best + 1), sudden=True, before=float(low[best]), after=float(high[best]))


def _until_peak(per_minute: Mapping[int, int], looked_from: int) -> tuple[int, NDArray[np.float64]]:
    """Give the first minute, and the messages of each minute from there to the one with the most."""
    import numpy as np  # noqa: PLC0415

    peak = max(per_minute, key=lambda minute: per_minute[minute])
    first = max(min([looked_from, *per_minute]) - _QUIET, peak - _LONGEST)
    counts = np.zeros(peak - first + 1)
    for minute, count in per_minute.items():
        if first <= minute <= peak:
            counts[minute - first] += count
    return first, counts


def merged(histograms: list[Mapping[int, int]]) -> dict[int, int]:
    """Add histograms up."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for minute, count in histogram.items():
            total[minute] = total.get(minute, 0) + count
    return total


def _term(count: NDArray[np.float64], rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the log likelihood of counts at a rate, without the parts that are the same for every split."""
    import numpy as np  # noqa: PLC0415

    return np.where(count > 0, count * np.log(np.maximum(rate, 1e-12)), 0.0)


def _moment(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
