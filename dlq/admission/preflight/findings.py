"""What a pre-flight finds: each check with its evidence, and which of them refuse."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dlq.config.policy_table import CheckName, Policy, Rule

if TYPE_CHECKING:
    from datetime import datetime


class Result(StrEnum):
    """How a check ended. Unknown is neither good nor bad."""

    PASS = "pass"  # noqa: S105 - a word, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, how it ended, and what was seen."""

    name: CheckName
    result: Result
    evidence: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """The checks of a queue at one moment, judged by the rules."""

    queue: str
    at: datetime
    checks: tuple[Check, ...]
    refusals: tuple[str, ...]
    """Why nothing may be moved; empty: go."""
    warnings: tuple[str, ...]

    @classmethod
    def judge(cls, queue: str, at: datetime, checks: list[Check], policy: Policy, *, watched: bool) -> Preflight:
        """Apply the rules of the policy; see `Policy.rule` for `watched`."""
        refusals, warnings = [], []
        for check in checks:
            rule = policy.rule(check.name, watched=watched)
            said = f"{check.name.replace('_', ' ')}: {check.evidence}"
            if check.result is Result.FAIL and rule in {Rule.REFUSE, Rule.STRICT}:
                refusals.append(said)
            elif check.result is Result.UNKNOWN and rule is Rule.STRICT:
                refusals.append(f"{said} (unknown, and the policy is strict)")
            elif check.result is Result.FAIL and rule is Rule.WARN:
                warnings.append(said)
        return cls(queue, at, tuple(checks), tuple(refusals), tuple(warnings))

    @property
    def go(self) -> bool:
        """Say whether messages may be moved."""
        return not self.refusals

    def as_dict(self) -> dict[str, Any]:
        """Render for JSON."""
        return {
            "queue": self.queue,
            "at": self.at.isoformat(timespec="seconds"),
            "go": self.go,
            "checks": [
                {"check": check.name.value, "result": check.result.value, "evidence": check.evidence}
                for check in self.checks
            ],
            "refusals": list(self.refusals),
            "warnings": list(self.warnings),
        }
