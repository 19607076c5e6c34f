"""Samples of a queue over time, and how fast its DLQ grows.

The counter `arrived` is kept on the notebook's page `arrivals`, one field a step: the depth, the sum so far, and what
each run had taken out of the DLQ by then. A step is written by `note_once`, so of several samplers at once each step
has one author.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import orjson

from dlq.brokers.base import Place
from dlq.engine.run import Kind
from dlq.messages.reading import Reading
from dlq.records.notebook import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.records.ledger import RunRecord
    from dlq.records.notebook import Notebook

TOPIC = "samples"
WINDOW = timedelta(minutes=5)
"""Over how long growth is measured, as in the runbook's `rate(...[5m])`."""
_ARRIVALS = "arrivals"
_SHORTEST = timedelta(seconds=50)  # a burst of ten in one second is no growth of 600 a minute
_RUNS = 50  # newest runs whose counts are looked at
_TRIES = 10
_OVER = frozenset({"done", "rolled_back"})


@dataclass(frozen=True, slots=True)
class Sample:
    """A queue at one moment. Depths are messages; `oldest` is when the message consumed next failed.

    It is None where the message does not say so, and where the broker does not let one look without taking.
    `arrived` counts the messages that came into the DLQ since samples began and never falls. What our runs put back
    does not count. What a foreign consumer took between two samples hides as many arrivals.
    """

    at: datetime
    depth: int
    live: int
    quarantine: int
    arrived: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of the counter. `taken` is, by run, what it took out of the DLQ; below zero: what it put back."""

    depth: int
    arrived: int
    taken: dict[str, int]


def take(queue: DeadLetterQueue, notebook: Notebook, config: QueueConfig) -> Sample:
    """Look at a queue and keep what was seen as a sample."""
    sample = look(queue, notebook, config)
    oldest = sample.oldest.timestamp() if sample.oldest else None
    seen = (sample.depth, sample.live, sample.quarantine, sample.arrived, oldest)
    notebook.append(TOPIC, Entry(sample.at, orjson.dumps(seen).decode()))
    return sample


def look(queue: DeadLetterQueue, notebook: Notebook, config: QueueConfig) -> Sample:
    """Look at a queue and bring the counter of arrivals up to date, without keeping a sample."""
    at = datetime.now(UTC)
    step = _count(queue, notebook)
    return Sample(
        at,
        step.depth,
        queue.depth(Place.LIVE),
        queue.depth(Place.QUARANTINE),
        step.arrived,
        oldest_failure(queue, config) if queue.capabilities.looks else None,
    )


def history(notebook: Notebook, since: datetime) -> list[Sample]:
    """Read the samples kept since a moment, in the order of time."""
    found = []
    for entry in notebook.log(TOPIC, since):
        depth, live, quarantine, arrived, oldest = orjson.loads(entry.text)
        moment = datetime.fromtimestamp(oldest, UTC) if oldest is not None else None
        found.append(Sample(entry.at, depth, live, quarantine, arrived, moment))
    return found


def recent(notebook: Notebook) -> list[Sample]:
    """Read the samples of the last five minutes: what the growth of now is measured on."""
    return history(notebook, datetime.now(UTC) - WINDOW)


def growth_per_minute(samples: Sequence[Sample]) -> float | None:
    """Say how many messages arrived a minute between the first sample and the last; None when that is too short."""
    if len(samples) < 2 or samples[-1].at - samples[0].at < _SHORTEST:  # noqa: PLR2004 - a span has two ends
        return None
    # A counter that fell has begun anew: its page was lost, or forgotten after a month of silence.
    arrived = sum(
        after.arrived - before.arrived if after.arrived >= before.arrived else after.arrived
        for before, after in pairwise(samples)
    )
    return arrived / ((samples[-1].at - samples[0].at) / timedelta(minutes=1))


def oldest_failure(queue: DeadLetterQueue, config: QueueConfig) -> datetime | None:
    """Say when the message at the consumer's end failed; None when there is none or it does not say."""
    return oldest_known(queue, config, 1)[0]


def oldest_known(queue: DeadLetterQueue, config: QueueConfig, most: int) -> tuple[datetime | None, int]:
    """Say when the first message that says so failed, of `most` at the consumer's end, and how many lie before it."""
    reader, before = Reading.of(config).reader, 0
    for skip, count in ((0, 1), (1, most - 1)):  # nearly always the first one says so
        for message in queue.read(Place.DLQ, skip, count).result() if count else ():
            failed_at = reader.read(message).failed_at
            if failed_at is not None:
                return datetime.fromtimestamp(failed_at, UTC), before
            before += 1
    return None, before


def _count(queue: DeadLetterQueue, notebook: Notebook) -> _Step:
    """Go one step on from the newest; of several samplers at once one wins and the others go on from its step."""
    while True:
        number, before = _newest(notebook)
        balance = _balance(queue)
        if balance is None:  # a drain too fast to be looked at: the next sample counts what came meanwhile
            return _Step(queue.depth(Place.DLQ), before.arrived if before else 0, {})
        depth, taken = balance
        arrived = 0
        if before is not None:
            removed = sum(count - before.taken.get(run_id, 0) for run_id, count in taken.items())
            arrived = before.arrived + max(0, depth - before.depth + removed)
        step = _Step(depth, arrived, taken)
        text = orjson.dumps((depth, arrived, taken)).decode()
        if notebook.note_once(_ARRIVALS, str(number + 1), text) == text:
            if number:
                notebook.erase(_ARRIVALS, *(str(old) for old in range(max(1, number - 2), number + 1)))
            return step


def _newest(notebook: Notebook) -> tuple[int, _Step | None]:
    steps = {int(number): text for number, text in notebook.notes(_ARRIVALS).items()}
    if not steps:
        return 0, None
    number = max(steps)
    return number, _Step(*orjson.loads(steps[number]))


def _balance(queue: DeadLetterQueue) -> tuple[int, dict[str, int]] | None:
    """Read the depth, and what runs had taken out at that very moment: the same before and after the depth is read."""
    for _ in range(_TRIES):
        records = queue.runs(_RUNS)
        taken = _taken(records)
        moving = [record.run_id for record in records if record.state not in _OVER]
        for _ in range(_TRIES):
            before, depth, after = (_moved(queue, moving), queue.depth(Place.DLQ), _moved(queue, moving))
            if before == after and [record.run_id for record in queue.runs(1)] == [*taken][:1]:
                return depth, taken | after
            if before == after:
                break  # another run has begun
    return None


def _moved(queue: DeadLetterQueue, run_ids: Iterable[str]) -> dict[str, int]:
    return _taken(record for run_id in run_ids if (record := queue.run(run_id)) is not None)


def _taken(records: Iterable[RunRecord]) -> dict[str, int]:
    """Say what each run took out of the DLQ, with what vanished from under it; below zero: what it put there."""
    return {record.run_id: _of(record) for record in records}


def _of(record: RunRecord) -> int:
    if record.kind == Kind.ROLLBACK:
        return -record.redriven
    if record.kind == Kind.RESTORE:
        return -int(record.facts.get("restored", "0"))
    return record.selected + record.vanished
