"""Guesses from changes: what was rolled out, or committed, shortly before failures of a new kind began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dlq.diagnosis.causes import Cause, Hypothesis, apart
from dlq.diagnosis.families import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.diagnosis.facts import Facts
    from dlq.diagnosis.symptoms import Symptom

# How likely a change of our own makes failures of this kind, when it came just before them.
_OURS = {
    Family.CODE: 1.0,
    Family.OTHER: 0.95,
    Family.MEMORY: 0.8,
    Family.SCHEMA: 0.8,
    Family.SLOW: 0.8,
    Family.CREDENTIALS: 0.75,
    Family.DEPENDENCY: 0.75,
    Family.DATABASE: 0.7,
    Family.RATE_LIMIT: 0.6,
    Family.DISK: 0.5,
    Family.CORRUPTION: 0.3,  # what producers send broken, no worker broke
}
_EARLY = timedelta(minutes=2)  # clocks differ, and a rollout takes its time
_AT_ONCE = timedelta(minutes=5)
_SOON = timedelta(minutes=30)
_LATE = timedelta(hours=2)
_MOST = 3
_LEAST = 0.05  # share of messages below which a symptom is noise


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed: a rollout, or a commit. `sure`: how surely it reached the workers at that time."""

    cause: Cause
    subject: str
    at: datetime
    text: str
    sure: float


def guesses(facts: Facts, seen: list[Symptom]) -> Iterator[Hypothesis]:
    """Give a guess for the changes after which something began: the three that fit best of each kind."""
    found = [guess for change in _changes(facts) if (guess := _guess(change, seen, facts.config_diff))]
    for cause in (Cause.ROLLOUT, Cause.CONFIGURATION, Cause.CODE):
        yield from sorted((guess for guess in found if guess.cause is cause), key=lambda guess: -guess.score)[:_MOST]


def closeness(change: datetime, began: datetime) -> float:
    """Rate from 0 to 1 how well a change fits a beginning: best within five minutes, nothing after two hours."""
    gap = began - change
    if gap < -_EARLY or gap > _LATE:
        return 0.0
    if gap <= _AT_ONCE:
        return 1.0
    if gap <= _SOON:
        return 1.0 - 0.6 * ((gap - _AT_ONCE) / (_SOON - _AT_ONCE))
    return 0.4 - 0.3 * ((gap - _SOON) / (_LATE - _SOON))


def _changes(facts: Facts) -> Iterator[Change]:
    for rollout in facts.rollouts:
        yield Change(Cause.ROLLOUT, rollout.deployment, rollout.at, rollout.summary, 0.95)
    for commit in facts.commits:
        cause = Cause.CONFIGURATION if commit.config else Cause.CODE
        yield Change(cause, commit.hash, commit.at, commit.summary, 0.9 if commit.config else 0.6)


def _guess(change: Change, seen: list[Symptom], diff: str) -> Hypothesis | None:
    score, evidence, best = 0.0, [], None
    for symptom in seen:
        if symptom.share < _LEAST or symptom.onset is None or not symptom.onset.sudden:
            continue
        fits = closeness(change.at, symptom.onset.at)
        if fits:
            part = fits * symptom.share * _OURS[symptom.family]
            score += part
            evidence.append(f"{symptom.summary}, {apart(change.at, symptom.onset.at)} {change.text}")
            best = max(best or (part, evidence[-1]), (part, evidence[-1]))
    if best is None:
        return None
    if change.cause is Cause.CONFIGURATION and diff:
        evidence += [f"the diff of the configuration has: {line}" for line in _changed_lines(diff)]
    return Hypothesis(change.cause, change.subject, min(1.0, score * change.sure), best[1], tuple(evidence))


def _changed_lines(diff: str) -> list[str]:
    lines = [line for line in diff.splitlines() if line[:1] in ("+", "-") and not line.startswith(("+++", "---"))]
    return [line[:160] for line in lines[:6]]
