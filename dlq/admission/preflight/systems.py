"""What the systems around a queue say before a drain: the workers' API, Kubernetes, Prometheus."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Final

from dlq.admission.preflight.outside import Change, Said, check_success
from dlq.systems.cluster.connection import Cluster
from dlq.systems.cluster.history import rollouts
from dlq.systems.cluster.state import read_workers
from dlq.systems.metrics import Metrics
from dlq.systems.workers_api import NOT_CONFIGURED, WorkersApi

if TYPE_CHECKING:
    from dlq.admission.preflight.findings import Check
    from dlq.config.settings import QueueConfig, Settings

_BEFORE: Final = (timedelta(hours=1), timedelta(minutes=10))
"""The success rate of now is compared with that from so long until so long ago."""


def health(settings: Settings) -> Said:
    """Ask the workers' health check; one that is set up and does not answer is not green."""
    api = WorkersApi.of(settings)
    if api is None:
        return Said(None, NOT_CONFIGURED)
    try:
        found = api.health()
    finally:
        api.close()
    return Said(bool(found.healthy), found.note)


def ready_workers(settings: Settings, config: QueueConfig) -> Said:
    """Ask Kubernetes whether a worker of the queue is ready; not well when none is."""
    cluster = Cluster.of(settings) if config.workers else None
    if cluster is None or config.workers is None:
        return Said(None, "Kubernetes is not configured")
    try:
        state = read_workers(cluster, config.workers)
    finally:
        cluster.close()
    return Said(state.ready > 0, state.summary)


def changes(settings: Settings, config: QueueConfig) -> list[Change]:
    """List what was rolled out, as far as Kubernetes tells."""
    cluster = Cluster.of(settings) if config.workers else None
    if cluster is None or config.workers is None:
        return []
    try:
        return [Change(found.at, found.summary) for found in rollouts(cluster, config.workers)]
    finally:
        cluster.close()


def success(settings: Settings, queue: str, falls: float) -> Check:
    """Compare the success rate of now with that of the hour before."""
    metrics = Metrics.of(settings)
    try:
        now = metrics.success_rate(queue)
        past = metrics.success_range(queue, datetime.now(UTC) - _BEFORE[0])
    finally:
        metrics.close()
    until = datetime.now(UTC) - _BEFORE[1]
    before = [share for at, share in past.points if at <= until and math.isfinite(share)]
    return check_success(now.value, fmean(before) if before else None, falls, now.note)
