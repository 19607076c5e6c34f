"""Ask every system that is configured. What is not, or does not answer, is a note; nothing stops the diagnosis."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from dlq.diagnosis.facts import Facts
from dlq.diagnosis.onset import merged, onset
from dlq.diagnosis.sampling import own_fields, sample
from dlq.errors import DlqError
from dlq.systems.cluster import connection
from dlq.systems.cluster.connection import Cluster
from dlq.systems.cluster.history import rollouts
from dlq.systems.cluster.logs import worker_lines
from dlq.systems.cluster.state import read_workers
from dlq.systems.logfiles import file_lines
from dlq.systems.metrics import Metrics, Reading
from dlq.systems.repository import Commit, Repository
from dlq.systems.workers_api import NOT_CONFIGURED, Health, WorkersApi

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig, Settings
    from dlq.engine.assess import Assessment
    from dlq.systems.cluster.history import Rollout
    from dlq.systems.cluster.state import WorkerState
    from dlq.systems.loglines import LogLine

T = TypeVar("T")
_BEFORE = timedelta(hours=3)  # changes that long before the beginning are of interest
_LINES = 50


@dataclass(slots=True)
class _Gathered:
    """What has been asked so far."""

    notes: list[str] = field(default_factory=list)
    lines: list[LogLine] = field(default_factory=list)

    def part(self, what: str, ask: Callable[[], T]) -> T | None:
        """Ask a system; its failure becomes a note, and None."""
        try:
            return ask()
        except DlqError as exc:
            self.notes.append(f"{what}: {exc.detail}")
            return None


def gather(settings: Settings, queue: DeadLetterQueue, config: QueueConfig, assessment: Assessment) -> Facts:
    """Collect all that the configured systems know of a queue whose DLQ was assessed just now."""
    so_far = _Gathered()
    since = began(assessment) - _BEFORE
    workers, history = _cluster(settings, config, so_far)
    commits, diff = _repository(settings, since, so_far)
    _files(settings, so_far)
    samples = so_far.part("sample", lambda: sample(queue, config))
    return Facts(
        assessment,
        samples=samples or (),
        own_fields=own_fields(config.fields),
        workers=workers,
        rollouts=history,
        commits=commits,
        config_diff=diff,
        lines=tuple(so_far.lines),
        health=_health(settings, so_far),
        readings=_readings(settings, config.name, so_far),
        notes=tuple(so_far.notes),
    )


def began(assessment: Assessment) -> datetime:
    """Say when the failures of a DLQ began; now for one that says nothing of times."""
    found = onset(merged([seen.per_minute for seen in assessment.signatures]))
    return found.at if found else assessment.at


def _cluster(
    settings: Settings, config: QueueConfig, so_far: _Gathered
) -> tuple[WorkerState | None, tuple[Rollout, ...]]:
    name = config.workers
    if name is None:
        so_far.notes.append(f"Kubernetes: the queue {config.name} has no worker deployment; set `workers` in dlq.toml")
        return None, ()
    cluster = so_far.part("Kubernetes", lambda: Cluster.of(settings))
    if cluster is None:
        if not so_far.notes:  # else it is configured, and wrongly
            so_far.notes.append(f"Kubernetes: {connection.NOT_CONFIGURED}")
        return None, ()
    pattern = re.compile(settings.log_pattern)
    with closing(cluster):
        state = so_far.part("Kubernetes", lambda: read_workers(cluster, name))
        if state is None:  # nothing else would answer either
            return None, ()
        history = so_far.part("rollouts", lambda: rollouts(cluster, name))
        so_far.lines += so_far.part("logs of the workers", lambda: worker_lines(cluster, name, pattern, _LINES)) or []
        so_far.notes += state.notes
    return state, tuple(history or ())


def _repository(settings: Settings, since: datetime, so_far: _Gathered) -> tuple[tuple[Commit, ...], str]:
    if settings.repository is None:
        so_far.notes.append("changes: not configured: set DLQ_REPOSITORY")
        return (), ""
    repository = Repository(settings.repository, settings.config_path)
    commits = so_far.part("changes", lambda: repository.commits(since))
    if not commits:
        return (), ""
    return tuple(commits), so_far.part("configuration", lambda: repository.config_diff(since)) or ""


def _files(settings: Settings, so_far: _Gathered) -> None:
    if not settings.logs:
        so_far.notes.append("log files: not configured: set DLQ_LOGS")
        return
    lines, notes = file_lines(settings.logs, re.compile(settings.log_pattern), _LINES)
    so_far.lines += lines
    so_far.notes += [f"log files: {note}" for note in notes]


def _health(settings: Settings, so_far: _Gathered) -> Health | None:
    api = WorkersApi.of(settings)
    if api is None:
        so_far.notes.append(f"workers' API: {NOT_CONFIGURED}")
        return None
    with closing(api):
        health = api.health()
    if health.healthy is None:
        so_far.notes.append(f"workers' API: {health.note}")
    return health


def _readings(settings: Settings, queue: str, so_far: _Gathered) -> tuple[tuple[str, Reading], ...]:
    with closing(Metrics.of(settings)) as metrics:
        if not metrics.configured:
            so_far.notes.append(f"metrics: {metrics.depth(queue).note}")
            return ()
        readings = (
            ("growth a minute", metrics.growth_per_minute(queue)),
            ("failures an hour", metrics.failures_per_hour(queue)),
            ("processed a second", metrics.processing_rate(queue)),
            ("success rate", metrics.success_rate(queue)),
        )
    so_far.notes += [f"{name}: {reading.note}" for name, reading in readings if reading.value is None]
    return readings
