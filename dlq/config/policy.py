"""The runbook's two tables as data: how severe a state of a queue is, and who is called for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlq.config.settings import QueueConfig


class Severity(StrEnum):
    """How bad it is."""

    NONE = "none"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Issue:
    """A row of the quick reference: what is seen, how severe it is, how soon somebody answers, and who."""

    name: str
    severity: Severity
    respond_within: timedelta
    called: str


@dataclass(frozen=True, slots=True)
class Level:
    """A level of escalation: 1 is the first to be called."""

    number: int
    who: str
    when: str


DEPTH = Issue("depth over the threshold", Severity.HIGH, timedelta(minutes=30), "on-call engineer")
GROWTH = Issue("growing too fast", Severity.CRITICAL, timedelta(minutes=15), "on-call engineer")
FAILURES = Issue("processing failures", Severity.MEDIUM, timedelta(hours=1), "support team")
CORRUPTION = Issue("corrupted messages", Severity.MEDIUM, timedelta(hours=1), "support team")
ISSUES = (GROWTH, DEPTH, FAILURES, CORRUPTION)

SUPPORT = Level(1, "support team", "depth over the warning threshold")
ON_CALL = Level(2, "on-call engineer", "growth over the threshold")
MANAGER = Level(3, "engineering manager", "depth over the emergency threshold")
LEVELS = (SUPPORT, ON_CALL, MANAGER)


def severity(
    config: QueueConfig, depth: int, *, growth_per_minute: float | None = None, corrupted: int = 0
) -> Severity:
    """Rate a queue; a growth of None is unknown and does not count as zero or as fast."""
    if growth_per_minute is not None and growth_per_minute > config.thresholds.growth_per_minute:
        return GROWTH.severity
    if depth > config.thresholds.depth_warn:
        return DEPTH.severity
    return CORRUPTION.severity if corrupted else Severity.NONE


def level(config: QueueConfig, depth: int, *, growth_per_minute: float | None = None) -> Level | None:
    """Say who is called, None for nobody."""
    if depth > config.thresholds.depth_emergency:
        return MANAGER
    if growth_per_minute is not None and growth_per_minute > config.thresholds.growth_per_minute:
        return ON_CALL
    return SUPPORT if depth > config.thresholds.depth_warn else None
