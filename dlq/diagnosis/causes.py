"""The words of a diagnosis: kinds of causes, and guesses with their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dlq.diagnosis.families import Family

if TYPE_CHECKING:
    from datetime import datetime


class Cause(StrEnum):
    """Kinds of root causes, by what mends them."""

    DEPENDENCY = "dependency"
    DATABASE = "database"
    RATE_LIMIT = "rate limit"
    CREDENTIALS = "credentials"
    SCHEMA = "schema"
    CORRUPTION = "corruption"
    CODE = "code"
    ROLLOUT = "rollout"
    CONFIGURATION = "configuration"
    MEMORY = "memory"
    DISK = "disk"
    CAPACITY = "capacity"
    CRASH = "crash"
    UNKNOWN = "unknown"


OF_FAMILY = {
    Family.DEPENDENCY: Cause.DEPENDENCY,
    Family.DATABASE: Cause.DATABASE,
    Family.RATE_LIMIT: Cause.RATE_LIMIT,
    Family.CREDENTIALS: Cause.CREDENTIALS,
    Family.SCHEMA: Cause.SCHEMA,
    Family.CORRUPTION: Cause.CORRUPTION,
    Family.CODE: Cause.CODE,
    Family.MEMORY: Cause.MEMORY,
    Family.DISK: Cause.DISK,
    Family.SLOW: Cause.CAPACITY,
}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One guess: its kind, what it is about, a score from 0 to 1, one line for people, and what speaks for it."""

    cause: Cause
    subject: str
    score: float
    text: str
    evidence: tuple[str, ...]

    @property
    def confidence(self) -> str:
        """Put the score into a word."""
        if self.score >= 0.6:  # noqa: PLR2004 - the two steps of the scale
            return "likely"
        return "possible" if self.score >= 0.4 else "weak"  # noqa: PLR2004


def apart(earlier: datetime, later: datetime) -> str:
    """Say how far two moments lie apart, and in which order: `2 minutes after`, `at the same minute as`."""
    minutes = round((later - earlier).total_seconds() / 60)
    if minutes == 0:
        return "in the minute in which"
    unit = f"{abs(minutes)} minute{'s' if abs(minutes) > 1 else ''}"
    if abs(minutes) >= 120:  # noqa: PLR2004 - two hours
        unit = f"{abs(minutes) / 60:.1f} hours"
    return f"{unit} {'after' if minutes > 0 else 'before'}"
