"""The root cause as far as it is known: what the diagnosis found, with its evidence, or why there is nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlq.engine.assess import Assessment

_SHARE = 0.5
_KEPT = 3
_EVIDENCE = 6
_NOTES = 10


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A cause that may be the one, and what speaks for it."""

    text: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """Hypotheses, the likeliest first; without any, `unknown` says why."""

    hypotheses: tuple[Hypothesis, ...] = ()
    unknown: str = ""
    notes: tuple[str, ...] = ()
    """What was not asked, or did not answer."""


def of_diagnosis(found: Mapping[str, Any] | None) -> Cause:
    """Take over what chapter 2 found and the notebook has kept; None: nobody has diagnosed."""
    if found is None:
        return Cause(unknown="not diagnosed")
    notes = tuple(found.get("notes", ())[:_NOTES])
    if found["cause"] == "unknown":
        return Cause(unknown=found["summary"].removeprefix("unknown: "), notes=notes)
    likely = [
        Hypothesis(f"{guess['cause']} ({guess['confidence']}): {guess['text']}", tuple(guess["evidence"][:_EVIDENCE]))
        for guess in found["hypotheses"][:_KEPT]
        if guess["confidence"] != "weak" or guess is found["hypotheses"][0]
    ]
    return Cause(tuple(likely), notes=notes)


def main_failure(before: Assessment | None) -> str:
    """Say which failure most messages had, when one stands out: a symptom, which is not a cause yet."""
    if before is None or not before.signatures or not before.read:
        return ""
    first = before.signatures[0]
    share = first.count / before.read
    if share < _SHARE:
        return ""
    since = f", since {first.first_seen:%Y-%m-%d %H:%M} UTC" if first.first_seen else ""
    return f"{100 * share:.0f} % of the messages failed with {first.signature}{since}"
