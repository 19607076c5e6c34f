"""Ranked guesses at the root cause. Each has a score from 0 to 1 and its evidence; too little evidence is "unknown".

The scores are a simple order of plausibility, not probabilities: how many messages a guess explains, how close in time
it lies to a change, and whether another system says the same. `tests/unit/test_diagnosis_ranking.py` holds what they
must put first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlq.diagnosis import from_changes, from_symptoms, from_workers
from dlq.diagnosis.causes import Cause, Hypothesis
from dlq.diagnosis.symptoms import Symptom, symptoms

if TYPE_CHECKING:
    from dlq.diagnosis.facts import Facts

ENOUGH = 0.3  # below this score nothing is said to be the cause
_KEPT = 8


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is most likely the cause, and why. `cause` is UNKNOWN when no guess has enough evidence."""

    queue: str
    cause: Cause
    summary: str
    hypotheses: tuple[Hypothesis, ...]
    symptoms: tuple[Symptom, ...]
    notes: tuple[str, ...]


def diagnose(facts: Facts) -> Diagnosis:
    """Rank the guesses that the facts allow."""
    seen = symptoms(facts)
    found = [
        *from_symptoms.guesses(facts, seen),
        *from_changes.guesses(facts, seen),
        *from_workers.guesses(facts, seen),
    ]
    ranked = tuple(sorted(found, key=lambda guess: -guess.score)[:_KEPT])
    queue = facts.assessment.queue
    if not ranked or ranked[0].score < ENOUGH:
        told = seen[0].summary if seen else "the DLQ is empty"
        return Diagnosis(queue, Cause.UNKNOWN, f"unknown: {told}", ranked, tuple(seen), facts.notes)
    return Diagnosis(queue, ranked[0].cause, ranked[0].text, ranked, tuple(seen), facts.notes)
