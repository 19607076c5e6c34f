"""One queue as the nightly report sees it: its depth over the last day, what came, what was drained, and why it failed.

Arrivals of a signature are worked out from conservation: what stands there now, less what stood there at the report of
the day before, plus what runs took out meanwhile. So a failure that was drained the same day is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dlq.config import policy
from dlq.engine.assess import assess
from dlq.reports import course as courses
from dlq.reports.days import Day, SignatureDay, bounded, days, keep
from dlq.reports.taken import taken_since
from dlq.summaries import samples

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.engine.assess import Assessment, SignatureCount
    from dlq.records.notebook import Notebook
    from dlq.reports.course import Course
    from dlq.reports.taken import Taken
    from dlq.systems.metrics import Metrics

DAY = timedelta(days=1)
_LONGEST = timedelta(days=8)  # an older report is no day before


@dataclass(frozen=True, slots=True)
class Night:
    """A queue at its nightly report. Counts are messages, times aware; what is not known is None.

    `since` is the report of the day before, from which arrivals and runs are counted, else 24 hours ago. `course` and
    `growth` go over the last 24 hours. `before` are the days that were kept before this one, oldest first.
    """

    found: Assessment
    config: QueueConfig
    since: datetime
    arrived: int | None
    growth_per_minute: float | None
    taken: Taken
    course: Course
    growth: Course
    signatures: tuple[SignatureDay, ...]
    others: int
    before: tuple[Day, ...]

    @property
    def queue(self) -> str:
        """Name the queue."""
        return self.found.queue

    @property
    def at(self) -> datetime:
        """Give the moment of the report."""
        return self.found.at

    @property
    def depth(self) -> int:
        """Count what lies in the DLQ."""
        return self.found.depth

    @property
    def peak(self) -> int:
        """Give the greatest depth of the last 24 hours that anybody saw."""
        return max(self.depth, self.course.peak or 0)

    @property
    def corrupted(self) -> int:
        """Count what cannot be read."""
        return sum(self.found.corrupted.values())

    @property
    def oldest_age(self) -> timedelta | None:
        """Say how long ago the oldest message in the DLQ failed."""
        return self.at - self.found.oldest if self.found.oldest else None

    @property
    def over(self) -> tuple[str, ...]:
        """Say which thresholds the queue is over now, or was over at its worst in the last day."""
        return tuple(filter(None, (_over_depth(self), _over_growth(self))))

    @property
    def severity(self) -> policy.Severity:
        """Rate the queue as the assessment does, with its growth."""
        return policy.severity(
            self.config, self.depth, growth_per_minute=self.growth_per_minute, corrupted=self.corrupted
        )

    @property
    def level(self) -> policy.Level | None:
        """Say who is called now."""
        return policy.level(self.config, self.depth, growth_per_minute=self.growth_per_minute)

    def day(self, zone: tzinfo) -> Day:
        """Give what is kept of this day."""
        return Day(
            self.at.astimezone(zone).date(),
            self.at,
            self.since,
            self.depth,
            self.peak,
            self.arrived,
            self.taken.redriven,
            self.signatures,
            self.others,
        )


def look(queue: DeadLetterQueue, config: QueueConfig, notebook: Notebook, metrics: Metrics, zone: tzinfo) -> Night:
    """Look at a queue and keep its day; made again on the same day it compares with the same day before."""
    samples.take(queue, notebook, config)
    found = assess(queue, config)
    before = tuple(days(notebook, before=found.at.astimezone(zone).date()))
    base = before[-1] if before and found.at - before[-1].at <= _LONGEST else None
    since = base.at if base else found.at - DAY
    taken = taken_since(queue, since)
    signatures, others = bounded(_signatures(found, base, since, taken))
    night = Night(
        replace(found, signatures=()),  # a queue may have sixty thousand, and what counts of them is counted
        config,
        since,
        _arrived(found, base, taken, courses.arrivals(notebook, since, found.at), signatures),
        _growth(metrics, notebook, config.name),
        taken,
        courses.depths(metrics, notebook, config.name, found.at - DAY),
        courses.growths(metrics, notebook, config.name, found.at - DAY),
        signatures,
        others,
        before,
    )
    keep(notebook, night.day(zone))
    return night


def _growth(metrics: Metrics, notebook: Notebook, queue: str) -> float | None:
    """Give the messages a minute that come now; None when nobody knows."""
    said = metrics.growth_per_minute(queue).value
    return samples.growth_per_minute(samples.recent(notebook)) if said is None else said


def _signatures(found: Assessment, base: Day | None, since: datetime, taken: Taken) -> list[SignatureDay]:
    """Give every signature that stands in the DLQ, stood there the day before, or was taken out since."""
    counts = {seen.signature.key: seen for seen in found.signatures}
    names = {key: str(seen.signature) for key, seen in counts.items()} | taken.names
    stood = {seen.key: seen for seen in base.signatures} if base else {}
    names |= {key: seen.text for key, seen in stood.items() if key not in names}
    rows = []
    for key, name in names.items():
        standing = counts[key].count if key in counts else 0
        was = stood[key].standing if key in stood else 0
        known = base is not None and (key in stood or not base.others)
        if known:
            arrived: int | None = max(0, standing - was + taken.by_key[key])
        else:
            arrived = _failed_since(counts.get(key), since)
        if standing or was or arrived:
            rows.append(SignatureDay(key, name, standing, arrived))
    return rows


def _arrived(
    found: Assessment, base: Day | None, taken: Taken, sampled: int | None, signatures: tuple[SignatureDay, ...]
) -> int | None:
    """Count all that came: by conservation since the day before, else as sampled, else by the time of failure."""
    if base is not None:
        return max(0, found.depth - base.depth + taken.net)
    if sampled is not None:
        return sampled
    known = [seen.arrived for seen in signatures if seen.arrived is not None]
    return sum(known) if known or not found.depth else None


def _failed_since(seen: SignatureCount | None, since: datetime) -> int | None:
    """Count by the time of failure; None when no message of the signature says one."""
    if seen is None:
        return 0
    if seen.first_seen is None:
        return None
    first = since.timestamp() // 60
    return sum(count for minute, count in seen.per_minute.items() if minute >= first)


def _over_depth(night: Night) -> str:
    limits, depth, peak = night.config.thresholds, night.depth, night.peak
    if depth > limits.depth_emergency:
        return f"depth {depth:,} is over the emergency threshold of {limits.depth_emergency:,}"
    if depth > limits.depth_warn:
        return f"depth {depth:,} is over the threshold of {limits.depth_warn:,}"
    if peak > limits.depth_warn:
        return f"depth was {peak:,} at its peak, over the threshold of {limits.depth_warn:,}"
    return ""


def _over_growth(night: Night) -> str:
    limit, peak = night.config.thresholds.growth_per_minute, night.growth.peak
    if peak is None or peak <= limit:
        return ""
    return f"growth was {peak:,} a minute at its fastest, over the threshold of {limit:,}"
