"""Guesses from the state of the workers: killed for memory, crashing, not placed, too few."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dlq.diagnosis.causes import Cause, Hypothesis
from dlq.diagnosis.families import Family

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dlq.diagnosis.facts import Facts
    from dlq.diagnosis.symptoms import Symptom
    from dlq.systems.cluster.state import MemoryKill, WorkerState

_BROKEN = (
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
)
_BEFORE = timedelta(minutes=30)  # a worker may die a while before the first message is given up
_TIRED = (Family.SLOW, Family.MEMORY, Family.OTHER, Family.DEPENDENCY)  # what lack of workers looks like in messages


def guesses(facts: Facts, seen: list[Symptom]) -> Iterator[Hypothesis]:
    """Give the guesses that the state of the workers allows."""
    workers = facts.workers
    if workers is None:
        return
    yield from _memory(workers, seen)
    yield from _crash(workers)
    yield from _capacity(workers, seen)


def _memory(workers: WorkerState, seen: list[Symptom]) -> Iterator[Hypothesis]:
    began = _began(seen)
    kills = [kill for kill in workers.memory_kills if _since(kill, began)]
    if not kills:
        return
    ends = sum(kill.restarts for kill in kills)
    fits = sum(symptom.share for symptom in seen if symptom.family in _TIRED and not symptom.subject)
    score = 0.3 + 0.2 * min(1.0, len(kills) / max(1, workers.desired)) + 0.04 * min(5, ends) + 0.3 * fits
    since = " since onset" if began else ""
    counts = f"{_counted(len(kills), 'pod')}, {_counted(ends, 'restart')}"
    text = f"workers of {workers.deployment} were killed for memory{since}: {counts}"
    evidence = [text, *(f"{kill.pod}/{kill.container}: OOMKilled, {kill.restarts} restarts" for kill in kills[:5])]
    usage = workers.usage
    if usage is not None and usage.memory_limit:
        evidence.append(f"memory in use: {usage.memory / usage.memory_limit:.0%} of the limit")
    yield Hypothesis(Cause.MEMORY, workers.deployment, min(1.0, score), text, tuple(evidence))


def _crash(workers: WorkerState) -> Iterator[Hypothesis]:
    broken = {reason: count for reason, count in workers.waiting.items() if reason in _BROKEN}
    if not broken:
        return
    share = min(1.0, sum(broken.values()) / max(1, workers.desired))
    words = ", ".join(f"{count} in {reason}" for reason, count in broken.items())
    text = f"workers of {workers.deployment} do not start: {words}, {workers.ready} of {workers.desired} ready"
    score = 0.55 + 0.4 * share - (0.3 if workers.memory_kills else 0.0)  # then memory is why they crash
    evidence = [text, *(f"{event.reason}: {event.text}" for event in workers.events if event.warning)]
    yield Hypothesis(Cause.CRASH, workers.deployment, score, text, tuple(evidence[:6]))


def _capacity(workers: WorkerState, seen: list[Symptom]) -> Iterator[Hypothesis]:
    slow = sum(symptom.share for symptom in seen if symptom.family is Family.SLOW)
    if workers.desired == 0:
        text = f"{workers.deployment} is scaled to 0: nobody works on the queue"
        yield Hypothesis(Cause.CAPACITY, workers.deployment, 0.85, text, (text,))
        return
    unplaced = {reason: count for reason, count in workers.waiting.items() if reason not in _BROKEN}
    missing = min(1.0, sum(unplaced.values()) / workers.desired)
    if not missing:
        return
    words = ", ".join(f"{count} wait: {reason}" for reason, count in unplaced.items())
    text = f"{workers.deployment} has {workers.ready} of {workers.desired} workers; {words}"
    evidence = [text, *(symptom.summary for symptom in seen if symptom.family is Family.SLOW)]
    yield Hypothesis(Cause.CAPACITY, workers.deployment, 0.35 + 0.3 * missing + 0.3 * slow, text, tuple(evidence))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _began(seen: list[Symptom]) -> datetime | None:
    """Give the beginning of the commonest symptom that has one."""
    return next((symptom.onset.at for symptom in seen if symptom.onset and symptom.onset.sudden), None)


def _since(kill: MemoryKill, began: datetime | None) -> bool:
    return kill.at is None or began is None or kill.at >= began - _BEFORE
