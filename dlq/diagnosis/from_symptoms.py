"""Guesses from the messages themselves: what their errors speak of, and what another system says to that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.diagnosis.causes import OF_FAMILY, Hypothesis
from dlq.diagnosis.families import Family
from dlq.diagnosis.shapes import drifts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.diagnosis.facts import Facts
    from dlq.diagnosis.symptoms import Symptom

# How far an error text of this kind speaks for itself. A KeyError says little: something must have changed.
_SPEAKS = {
    Family.DISK: 0.8,
    Family.CREDENTIALS: 0.75,
    Family.RATE_LIMIT: 0.75,
    Family.DATABASE: 0.7,
    Family.CORRUPTION: 0.7,
    Family.SCHEMA: 0.65,
    Family.DEPENDENCY: 0.6,
    Family.MEMORY: 0.6,
    Family.CODE: 0.4,
    Family.SLOW: 0.4,
}


def guesses(facts: Facts, seen: list[Symptom]) -> Iterator[Hypothesis]:
    """Give a guess for each symptom that speaks of a cause."""
    for symptom in seen:
        if symptom.family in _SPEAKS:
            yield _guess(facts, symptom)


def _guess(facts: Facts, symptom: Symptom) -> Hypothesis:
    score = _SPEAKS[symptom.family] * symptom.share
    evidence = [symptom.summary]
    text = symptom.summary
    sick = _sick(facts, symptom)
    if sick:
        score += 0.25 * symptom.share
        evidence.append(sick)
        text += f"; {sick}"
    if symptom.family is Family.SCHEMA:
        changes = _drifts(facts, symptom)
        if changes:
            score += 0.25 * symptom.share
            evidence += changes
            text = f"schema mismatch: {changes[0]}; {symptom.summary}"
    lines = _lines(facts, symptom)
    if lines:
        score += 0.05
        evidence.append(lines)
    return Hypothesis(OF_FAMILY[symptom.family], symptom.subject, min(1.0, score), text, tuple(evidence))


def _sick(facts: Facts, symptom: Symptom) -> str:
    """Say which part of the workers' health check fails that belongs to the symptom."""
    health = facts.health
    if health is None or health.healthy is not False:
        return ""
    words = [word for word in (symptom.subject.lower(), symptom.family.value) if word]
    for name, state in health.checks.items():
        low = name.lower()
        fine = state.lower() in ("ok", "up", "pass", "healthy", "true", "connected", "")
        if not fine and any(word in low or low in word for word in words):
            return f"the health check says {name}: {state}"
    return ""


def _drifts(facts: Facts, symptom: Symptom) -> list[str]:
    keys = symptom.keys
    failed = [sample.shape for sample in facts.samples if sample.signature in keys]
    others = [sample.shape for sample in facts.samples if sample.signature not in keys]
    return [drift.summary for drift in drifts(failed, others, set(facts.own_fields))]


def _lines(facts: Facts, symptom: Symptom) -> str:
    word = symptom.subject or symptom.name
    count = sum(word.lower() in line.text.lower() for line in facts.lines) if word else 0
    return f"{count} of the last {len(facts.lines)} failure lines in the logs name {word}" if count else ""
