"""What Prometheus knows of a queue, by the runbook's metrics.

A reading without a value says why in its note: not configured, down, refused, no such series, stale. There is no zero
that nobody measured. A reading never raises and takes `DLQ_PROMETHEUS_TIMEOUT` a try at most.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from dlq.config import metric_queries
from dlq.config.metric_queries import AT, VALUE, Measure
from dlq.systems.prometheus_wire import Wire, WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dlq.config.metric_queries import MetricNames
    from dlq.config.settings import Settings

T = TypeVar("T")

SOURCE = "prometheus"
NOT_CONFIGURED = "not configured: set DLQ_PROMETHEUS_URL"
_MOST_POINTS = 10_000  # Prometheus refuses more than 11,000 a series
_HELD = 10.0  # seconds for which a server that did not answer is not asked again


@dataclass(frozen=True, slots=True)
class Reading:
    """One number at one moment. `value` is None when it is not known, and `note` says why."""

    value: float | None
    source: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A number over time, oldest first; no points when it is not known, and `note` says why."""

    points: tuple[tuple[datetime, float], ...]
    source: str
    at: datetime
    note: str = ""


class Metrics:
    """Reads the runbook's metrics; `Metrics.of(settings)` makes one, also where there is no Prometheus."""

    def __init__(self, wire: Wire | None, names: MetricNames, stale_after: float) -> None:
        """Take the connection, None for no Prometheus, and the age in seconds at which a sample counts for nothing."""
        self._wire = wire
        self._names = names
        self._stale_after = stale_after
        self._held: tuple[float, str] = (0.0, "")

    @classmethod
    def of(cls, settings: Settings) -> Metrics:
        """Make the metrics that the settings describe. Nothing is asked yet."""
        return cls(Wire.of(settings), settings.metrics, settings.prometheus_stale_after)

    @property
    def configured(self) -> bool:
        """Whether there is a Prometheus to ask."""
        return self._wire is not None

    def depth(self, queue: str) -> Reading:
        """Count the messages in the DLQ."""
        return self._read(metric_queries.depth(self._names, queue))

    def growth_per_minute(self, queue: str) -> Reading:
        """Give the messages a minute that come into the DLQ, over the last five."""
        return self._read(metric_queries.growth_per_minute(self._names, queue))

    def failures_per_hour(self, queue: str) -> Reading:
        """Give the failed attempts of the last hour."""
        return self._read(metric_queries.failures_per_hour(self._names, queue))

    def processing_rate(self, queue: str) -> Reading:
        """Give the messages a second that the workers process, over the last five minutes."""
        return self._read(metric_queries.processing_rate(self._names, queue))

    def success_rate(self, queue: str) -> Reading:
        """Give the share of processed messages that went well, 0 to 1; None when nothing was processed."""
        measure = metric_queries.success_rate(self._names, queue)
        return self._read(measure, lambda parts: _share(parts, self._names.success))

    def depth_range(self, queue: str, since: datetime, step: timedelta = timedelta(minutes=1)) -> Series:
        """Give the depth from `since` until now, a point each `step`."""
        return self._range(metric_queries.depth(self._names, queue), since, step)

    def growth_range(self, queue: str, since: datetime, step: timedelta = timedelta(minutes=1)) -> Series:
        """Give the messages a minute that came into the DLQ, from `since` until now."""
        return self._range(metric_queries.growth_per_minute(self._names, queue), since, step)

    def processing_range(self, queue: str, since: datetime, step: timedelta = timedelta(minutes=1)) -> Series:
        """Give the messages a second that were processed, from `since` until now."""
        return self._range(metric_queries.processing_rate(self._names, queue), since, step)

    def success_range(self, queue: str, since: datetime, step: timedelta = timedelta(minutes=1)) -> Series:
        """Give the share of processed messages that went well, from `since` until now; NaN where none was processed."""
        return self._range(metric_queries.success_share(self._names, queue), since, step)

    def close(self) -> None:
        """Let go of the connection."""
        if self._wire is not None:
            self._wire.close()

    def _read(
        self, measure: Measure, value: Callable[[Mapping[str, float]], tuple[float | None, str]] | None = None
    ) -> Reading:
        asked = self._ask(lambda wire: wire.instant(measure.query))
        if isinstance(asked, str):
            return Reading(None, self._source, datetime.now(UTC), asked)
        evaluated, parts = asked
        newest = parts.get(AT)
        found, note = (value or _plain)(parts)
        if newest is None:
            note = "stale: no fresh sample of" if found is not None else "no series"
            return Reading(None, self._source, evaluated, f"{note} {measure.selector}")
        at = datetime.fromtimestamp(newest, UTC)
        age = (evaluated - at).total_seconds()
        if age > self._stale_after:
            return Reading(None, self._source, at, f"stale: the newest sample is {age:.0f} s old")
        return Reading(found, self._source, at, note)

    def _range(self, measure: Measure, since: datetime, step: timedelta) -> Series:
        now = datetime.now(UTC)
        seconds = max(1.0, step.total_seconds(), (now - since).total_seconds() / _MOST_POINTS)
        asked = self._ask(lambda wire: wire.over(measure.parts[VALUE], since, now, seconds))
        if isinstance(asked, str):
            return Series((), self._source, now, asked)
        return Series(asked, self._source, now, "" if asked else f"no series {measure.selector}")

    def _ask(self, question: Callable[[Wire], T]) -> T | str:
        """Ask, and give the answer or why there is none; a server that was silent is left alone for a while."""
        if self._wire is None:
            return NOT_CONFIGURED
        until, why = self._held
        if time.monotonic() < until:
            return why
        try:
            return question(self._wire)
        except WireError as exc:
            if exc.silent:
                self._held = (time.monotonic() + _HELD, str(exc))
            return str(exc)

    @property
    def _source(self) -> str:
        return SOURCE if self._wire is None else f"{SOURCE} {self._wire.shown}"


def _plain(parts: Mapping[str, float]) -> tuple[float | None, str]:
    """Take the value as it is; what is missing or not a number is unknown."""
    value = parts.get(VALUE)
    if value is None:
        return None, "too few samples yet"
    return (value, "") if math.isfinite(value) else (None, "not a number")


def _share(parts: Mapping[str, float], success: str) -> tuple[float | None, str]:
    """Work out the share of successes; without a series of successes it is 0 only if failures were counted."""
    total, well, failed = (parts.get(name) for name in ("all", "success", "failed"))
    if total is None:
        return None, "too few samples yet"
    if not math.isfinite(total) or total <= 0:
        return None, "nothing was processed"
    if well is not None and math.isfinite(well):
        return min(1.0, well / total), ""
    if failed is not None and failed > 0:
        return 0.0, ""
    return None, f"no series has the status {success}"
