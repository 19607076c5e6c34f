"""Trials: run drainer processes that die, until what they were asked for is done."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Protocol

from dlq.engine.verify import verify
from dlq.errors import DeliveryLimitError
from dlq.messages.reading import Reading
from dlq.records.ledger import RunRecord
from tests.chaos.drainer import ONCE, PACE, Fuse, Job, Order, fused
from tests.chaos.truth import Counts, Expected, World, compare_places, kind_of, make_messages

ROOT = Path(__file__).parents[2]
RUN = "jobs-chaos-1"
MESSAGES = 4_000
JOBS = (
    Job(corrupted=None),
    Job(types=("order.created",)),
    Job(types=("email.send", "image.resize"), edits=("retryCount=0",)),
    Job(kind="quarantine", corrupted=True),
    Job(kind="discard", types=("image.resize",), limit=700),
    Job(types=("email.send",), limit=1_000),
    Job(max_batches=2),
)
_IN_A_ROW = 5  # processes that die before one may live; the next trial goes on with the list
_TRIES = 60  # processes for one trial; a rollback that waits for a dead one's lock uses some


class Sabotage(Protocol):
    """Says how the next process is to die: changes its order."""

    def __call__(self, order: Order) -> Order:
        """Give the order with a death in it, or as it is."""
        ...


def expected_after(job: Job, dlq: list[bytes], live: list[bytes]) -> Expected:
    """Work out by hand where each message must lie when the job is done."""
    limit = job.limit if job.limit is not None else job.max_batches * PACE.batch or len(dlq)
    chosen: list[bytes] = []
    kept: list[bytes] = []
    for message in dlq:
        kind = kind_of(message)
        wanted = job.corrupted is None or job.corrupted == (kind is None)
        wanted = wanted and (not job.types or kind in job.types)
        (chosen if wanted and len(chosen) < limit else kept).append(message)
    if job.edits:
        chosen = [_without_retries(message) for message in chosen]
    if job.kind == "quarantine":
        return Expected(kept, live, chosen)
    if job.kind == "discard":
        return Expected(kept, live, gone=chosen)
    return Expected(kept, live + chosen)


def _without_retries(message: bytes) -> bytes:
    head, _, tail = message.partition(b'"retryCount":')
    return head + b'"retryCount":0' + tail[1:]


def step_by_step(steps: tuple[str, ...], rng: random.Random) -> Iterator[Sabotage]:
    """Go through all steps in a drawn order, again and again; die the first to the fifth time that one is reached."""

    def death(step: str) -> Sabotage:
        nth = 1 if step in ONCE else rng.randint(1, 5)
        return lambda order: replace(order, step=step, nth=nth)

    while True:
        yield from map(death, rng.sample(steps, len(steps)))


def any_moment(seconds: float, rng: random.Random) -> Sabotage:
    """Die at a moment within so many seconds of work."""
    return lambda order: replace(order, after=rng.uniform(0, seconds))


@dataclass(slots=True)
class Trial:
    """One job on one world, through the deaths of its processes. `deaths` says how each process in turn dies."""

    world: World
    job: Job
    seed: int
    messages: int = MESSAGES
    kills: int = 0
    dlq: list[bytes] = field(init=False)
    live: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Fill the queue."""
        self.dlq = make_messages(self.messages, self.seed)
        self.live = [*make_messages(600, self.seed + 1_000_000), *self.dlq[100:140]]  # some are copies of dead ones
        self.world.fill(self.dlq, self.live)

    def work(self, deaths: Iterator[Sabotage]) -> RunRecord:
        """Drain and resume until done."""
        for _ in range(_TRIES):
            record = self._record(RUN)
            if record is not None and record.state == "done":
                return record
            order = Order(self.world.url, "drain" if record is None else "resume", RUN, self.job)
            self._start(order, deaths)
        record = self._record(RUN)
        assert record is not None
        assert record.state == "done"
        return record

    def begin(self, death: Sabotage) -> None:
        """Drain once, and die or not; the run stays as it is."""
        self._start(Order(self.world.url, "drain", RUN, self.job), iter((death,)))

    def drain(self, deaths: Iterator[Sabotage]) -> Counts:
        """Drain and resume until done; compare."""
        record = self.work(deaths)
        expected = expected_after(self.job, self.dlq, self.live)
        self._is_explained()
        chosen = len(expected.live) - len(self.live) + len(expected.quarantine) + len(expected.gone)
        assert record.selected >= chosen, "some of the selection was left where it was"
        counts = compare_places(self.world, expected, record.selected)
        counts.kills = self.kills
        if self.world.ordered and counts.lost == counts.duplicated == counts.unexpected == 0:
            assert self.world.places()[0] == expected.dlq, "the kept messages lost their order"
            assert self.world.places()[1] == expected.live, "the redriven messages lost their order"
        return counts

    def roll_back(self, deaths: Iterator[Sabotage]) -> Counts:
        """Roll the finished run back, again and again until done; compare with what there was before all."""
        before = self.kills
        for _ in range(_TRIES):
            record = self._record(RUN)
            assert record is not None
            if record.state == "rolled_back":
                break
            if not self._start(Order(self.world.url, "rollback", RUN, self.job), deaths):
                time.sleep(0.3)  # a dead rollback's lock runs out
        record = self._record(RUN)
        assert record is not None
        assert record.state == "rolled_back"
        assert record.rolled_back == record.selected, (record.rolled_back, record.selected)
        self._is_explained()
        counts = compare_places(self.world, Expected(self.dlq, self.live), 0)
        counts.kills = self.kills - before
        if self.world.ordered and counts.lost == counts.duplicated == counts.unexpected == 0:
            # Of two messages with the same bytes, ours and a producer's, either may be the one that goes back.
            twins = {message for message in self.live if message in self.dlq}
            left = [message for message in self.world.places()[1] if message not in twins]
            assert left == [message for message in self.live if message not in twins], "the live queue lost its order"
        return counts

    def _start(self, order: Order, deaths: Iterator[Sabotage]) -> bool:
        """Run one process; tell whether it died as it was told to, or ended well."""
        death = next(deaths, None)
        order = death(order) if death else order
        command = [sys.executable, "-m", "tests.chaos.drainer", order.as_json()]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == -signal.SIGKILL:
            self.kills += 1
        elif done.returncode:
            assert "LockedError" in done.stderr, done.stderr
            return False
        return True

    def _is_explained(self) -> None:
        """Insist that the run's books close."""
        queue = fused(self.world.config, self.world.url, Fuse())
        try:
            outcome = verify(queue, RUN, Reading.of(self.world.config))
        except DeliveryLimitError:  # a quorum queue counts how often its messages were held and given back
            return
        finally:
            queue.close()
        assert outcome.unexplained == 0, outcome.conservation

    def _record(self, run_id: str) -> RunRecord | None:
        queue = fused(self.world.config, self.world.url, Fuse())
        try:
            return queue.run(run_id)
        finally:
            queue.close()


def until_killed(
    world: World,
    judge: Callable[[Counts], None],
    kills: int,
    deaths: Iterator[Sabotage],
    *,
    rolled_back: bool,
    messages: int = MESSAGES,
) -> None:
    """Go through the jobs until so many processes were killed."""
    done = 0
    for number, job in enumerate(cycle(JOBS)):
        if done >= kills:
            return
        assert number < 4 * kills + len(JOBS), "the processes outlive their killer"
        trial = Trial(world, job, seed=number, messages=messages)
        budget = min(_IN_A_ROW, kills - done)
        judge(trial.drain(iter(()) if rolled_back else islice(deaths, budget)))
        if rolled_back:
            judge(trial.roll_back(islice(deaths, budget)))
        done += trial.kills
