"""What other systems say: the workers' health, the success rate, and what was mended since the newest failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlq.admission.preflight.findings import Check, Result
from dlq.config.policy_table import CheckName

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Said:
    """What another system said: True for well, False for not, None when it cannot say; and its words."""

    well: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was deployed or mended: when, what, and who says so."""

    at: datetime
    what: str


def check_health(said: Said) -> Check:
    """Judge by the workers' own health check."""
    results = {True: Result.PASS, False: Result.FAIL, None: Result.UNKNOWN}
    return Check(CheckName.HEALTH, results[said.well], said.words)


def check_success(now: float | None, before: float | None, falls: float, note: str = "") -> Check:
    """Compare the success rate, of 1, with that of a while ago; `falls` is the fall that counts."""
    if now is None:
        return Check(CheckName.SUCCESS_RATE, Result.UNKNOWN, note or "not known")
    if before is None:
        return Check(CheckName.SUCCESS_RATE, Result.UNKNOWN, f"{now:.1%} now; what it was before is not known")
    result = Result.FAIL if now < before - falls else Result.PASS
    return Check(CheckName.SUCCESS_RATE, result, f"{now:.1%} now, {before:.1%} before")


def check_fix(newest_failure: datetime | None, changes: list[Change], told: str = "") -> Check:
    """Look for a change after the newest failure; `told` is a person's word that the cause is mended."""
    if told:
        return Check(CheckName.FIX, Result.PASS, f"a person says: {told}")
    if newest_failure is None:
        return Check(CheckName.FIX, Result.UNKNOWN, "no message says when it failed")
    if not changes:
        return Check(
            CheckName.FIX,
            Result.UNKNOWN,
            "what was deployed is not known; say what was mended (`fixed` in the form, `--fixed`)",
        )
    last = max(changes, key=lambda change: change.at)
    after = last.at > newest_failure
    relation = "after" if after else "before"
    seen = f"{last.what} at {last.at:%Y-%m-%d %H:%M}Z, {relation} the newest failure at {newest_failure:%H:%M}Z"
    return Check(CheckName.FIX, Result.PASS if after else Result.FAIL, seen)
