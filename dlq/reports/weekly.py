"""One queue as the weekly review sees it: signatures against the weeks before, incidents, and its thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dlq.engine.run import Kind
from dlq.reports import course as courses
from dlq.reports.days import days
from dlq.reports.thresholds import propose

if TYPE_CHECKING:
    from datetime import tzinfo

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.records.ledger import RunRecord
    from dlq.records.notebook import Notebook
    from dlq.reports.course import Course
    from dlq.reports.days import Day
    from dlq.reports.thresholds import Proposal
    from dlq.systems.metrics import Metrics

WEEK = timedelta(days=7)
_STEP = timedelta(minutes=5)
_RUNS = 500
_LOWEST_DEPTH, _LOWEST_GROWTH = 20, 5


@dataclass(frozen=True, slots=True)
class Incident:
    """A run of the week. Counts are messages; `took` is None for a run that has not ended."""

    record: RunRecord
    took: timedelta | None
    undone_by: str

    @property
    def outcome(self) -> str:
        """Say in a few words how it ended."""
        state = self.record.state.replace("_", " ")
        if self.undone_by:
            return f"{state}, taken back by {self.undone_by}"
        note = self.record.facts.get("note", "")
        return f"{state}: {note}" if note else state


@dataclass(frozen=True, slots=True)
class Week:
    """A queue over the last seven days. `days` are this week's reports, `earlier` those before, oldest first."""

    queue: str
    since: datetime
    until: datetime
    days: tuple[Day, ...]
    earlier: tuple[Day, ...]
    incidents: tuple[Incident, ...]
    depth: Course
    growth: Course
    proposals: tuple[Proposal, ...]

    @property
    def arrived(self) -> int | None:
        """Count what came in the week; None when no day's report knows."""
        known = [day.arrived for day in self.days if day.arrived is not None]
        return sum(known) if known else None

    @property
    def arrived_before(self) -> int | None:
        """Count what came in the seven days before; None when fewer than half of them were reported."""
        past = [day for day in self.earlier if day.at > self.since - WEEK and day.arrived is not None]
        enough = len(past) * 2 >= WEEK.days
        return sum(day.arrived or 0 for day in past) if enough else None


def review(
    queue: DeadLetterQueue,
    config: QueueConfig,
    notebook: Notebook,
    metrics: Metrics,
    zone: tzinfo,
    *,
    now: datetime | None = None,
) -> Week:
    """Look back at a week, from the days that the nightly reports kept, the ledger, and the history of the depth."""
    until = now or datetime.now(UTC)
    since = until - WEEK
    kept = days(notebook)
    first = since.astimezone(zone).date()
    incidents = _incidents(queue.runs(_RUNS), since)
    depth = courses.depths(metrics, notebook, config.name, since, _STEP)
    growth = courses.growths(metrics, notebook, config.name, since, _STEP)
    spans = [
        (run.record.started_at, run.record.ended_at or until)
        for run in incidents
        if run.record.started_at and run.record.kind == Kind.DRAIN
    ]
    limits = config.thresholds
    return Week(
        config.name,
        since,
        until,
        tuple(day for day in kept if day.date > first),
        tuple(day for day in kept if day.date <= first),
        incidents,
        depth,
        growth,
        (
            propose("depth_warn", depth.points, limits.depth_warn, spans, _LOWEST_DEPTH),
            propose("growth_per_minute", growth.points, limits.growth_per_minute, spans, _LOWEST_GROWTH),
        ),
    )


def _incidents(records: list[RunRecord], since: datetime) -> tuple[Incident, ...]:
    """Give the runs of the week, oldest first; a rollback is told with the run that it undid."""
    week = [record for record in reversed(records) if record.started_at is not None and record.started_at >= since]
    undone = {record.undoes: record.run_id for record in week if record.kind == Kind.ROLLBACK and record.undoes}
    return tuple(
        Incident(record, _took(record), undone.get(record.run_id, ""))
        for record in week
        if record.kind != Kind.ROLLBACK
    )


def _took(record: RunRecord) -> timedelta | None:
    return record.ended_at - record.started_at if record.ended_at and record.started_at else None
