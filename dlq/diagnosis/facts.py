"""What a diagnosis stands on: everything that was asked, and notes on what did not answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlq.engine.assess import Assessment
    from dlq.systems.cluster.history import Rollout
    from dlq.systems.cluster.state import WorkerState
    from dlq.systems.loglines import LogLine
    from dlq.systems.metrics import Reading
    from dlq.systems.repository import Commit
    from dlq.systems.workers_api import Health


@dataclass(frozen=True, slots=True)
class Sampled:
    """One message of a sample: its signature's key, its error text without secrets, and the kinds of its fields."""

    signature: str
    error: str
    shape: dict[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known. What is empty or None was not configured, or did not answer; `notes` say which and why."""

    assessment: Assessment
    samples: tuple[Sampled, ...] = ()
    own_fields: frozenset[str] = frozenset()
    """Paths of the fields that tell of the failure itself, such as `error`."""
    workers: WorkerState | None = None
    rollouts: tuple[Rollout, ...] = ()
    commits: tuple[Commit, ...] = ()
    config_diff: str = ""
    lines: tuple[LogLine, ...] = ()
    health: Health | None = None
    readings: tuple[tuple[str, Reading], ...] = ()
    notes: tuple[str, ...] = ()
