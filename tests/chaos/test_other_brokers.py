"""The same faults on a Redis Cluster and on RabbitMQ; DLQ_CHAOS_KILLS says how many kills, else it is a sample."""

import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice, repeat
from typing import Any

import pytest

from dlq.engine.chunks import MAX_MESSAGES
from dlq.errors import LockedError, LockLostError
from tests.chaos.conftest import Judge
from tests.chaos.drainer import DRAIN_STEPS, ROLLBACK_STEPS, Fuse, FusedClusterQueue, Job, drain, fused
from tests.chaos.other_worlds import AnyWorld, Tap
from tests.chaos.trials import JOBS, RUN, Trial, any_moment, expected_after, step_by_step, until_killed
from tests.chaos.truth import Counts, compare, compare_places, make_messages

KILLS = int(os.environ.get("DLQ_CHAOS_KILLS", "6"))
MESSAGES = 1_500
RIVAL = "jobs-chaos-2"
WINDOW = 4 * MAX_MESSAGES
"""Messages that may be published and not yet confirmed at one moment: the batches under way."""
WITHIN = ("commit-before", "commit-sent", "reply-before", "reply-after", "decide-after", "read-after", "wave-end")
"""Steps at which a drain has begun, and has batches under way."""
_SEED = 17
_PAUSE = 0.005


def _share(part: float) -> int:
    return max(1, round(KILLS * part))


@pytest.fixture
def fair(judge: Judge) -> Judge:
    """Judge, and insist that there are no more marked copies than kills and lost connections can have made."""

    def check(counts: Counts) -> None:
        assert counts.marked <= counts.kills * WINDOW, counts.as_dict()
        judge(counts)

    return check


def test_a_drain_survives_a_kill_at_each_step(other_world: AnyWorld, fair: Judge) -> None:
    """Whatever step the drainer and its resumers die at, every message lies where it should."""
    deaths = step_by_step(DRAIN_STEPS, random.Random(_SEED))
    until_killed(other_world, fair, _share(0.3), deaths, rolled_back=False, messages=MESSAGES)


def test_a_rollback_survives_a_kill_at_each_step(other_world: AnyWorld, fair: Judge) -> None:
    """A rollback that is killed and repeated puts every message back."""
    # Only a discard is put back by unstash: in a small sample most processes would live.
    steps = ROLLBACK_STEPS if len(ROLLBACK_STEPS) < KILLS else ROLLBACK_STEPS[:9]
    deaths = step_by_step(steps, random.Random(_SEED + 1))
    until_killed(other_world, fair, _share(0.2), deaths, rolled_back=True, messages=MESSAGES)


def test_a_run_that_was_killed_is_rolled_back(other_world: AnyWorld, fair: Judge) -> None:
    """Nobody resumes it; its rollback is killed too, and repeated: every message is back, none in the live queue."""
    rng, done, kills = random.Random(_SEED + 3), 0, _share(0.2)
    drains, rollbacks = step_by_step(WITHIN, rng), step_by_step(ROLLBACK_STEPS, rng)
    for number, job in enumerate(cycle(JOBS)):
        if done >= kills:
            return
        assert number < 4 * kills + len(JOBS), "the processes outlive their killer"
        trial = Trial(other_world, job, seed=number, messages=MESSAGES)
        trial.begin(next(drains))
        counts = trial.roll_back(islice(rollbacks, min(2, kills - done)))
        counts.kills = trial.kills
        fair(counts)
        done += trial.kills


def test_a_drain_survives_kills_at_any_moment_under_traffic(other_world: AnyWorld, fair: Judge) -> None:
    """A timer kills the drainer wherever it is, while producers and workers go on."""
    rng, done, kills = random.Random(_SEED + 2), 0, _share(0.3)
    for number, job in enumerate(cycle((JOBS[0], JOBS[1], JOBS[3]))):
        if done >= kills:
            return
        assert number < 4 * kills + len(JOBS), "the processes outlive their killer"
        trial = Trial(other_world, job, seed=number, messages=MESSAGES)
        traffic = Traffic(other_world, number)
        with traffic.flowing():
            record = trial.work(islice(repeat(any_moment(0.12, rng)), min(5, kills - done)))
        other_world.popped = traffic.popped
        counts = compare(other_world, [*trial.dlq, *trial.live, *traffic.pushed], record.selected)
        counts.kills = trial.kills
        fair(counts)
        done += trial.kills


class Traffic:
    """Two producers and a worker, each with a connection of its own; `pushed` and `popped` are the truth."""

    def __init__(self, world: AnyWorld, seed: int) -> None:
        self._world = world
        self._stopped = threading.Event()
        self._supply = cycle(make_messages(500, 1_000 + seed))
        self.pushed: list[bytes] = []
        self.popped: list[bytes] = []

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Keep the traffic up for a `with` block."""
        dlq, live, _ = self._world.keys
        tasks: list[Callable[[Tap], None]] = [
            lambda tap: self._push(tap, live),
            lambda tap: self._push(tap, dlq),
            lambda tap: self._pop(tap, live),
        ]
        threads = [threading.Thread(target=self._loop, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _loop(self, task: Callable[[Tap], None]) -> None:
        tap = self._world.tap()
        while not self._stopped.wait(_PAUSE):
            task(tap)
        tap.close()

    def _push(self, tap: Tap, key: str) -> None:
        message = next(self._supply)
        self.pushed.append(message)
        tap.push(key, message)

    def _pop(self, tap: Tap, key: str) -> None:
        for _ in range(3):
            message = tap.pop(key)
            if message is not None:
                self.popped.append(message)


@pytest.mark.parametrize(("step", "nth"), [("read-after", 1), ("commit-sent", 2), ("reply-after", 3)])
def test_a_drain_survives_answers_that_never_come(step: str, nth: int, other_world: AnyWorld, judge: Judge) -> None:
    """All its connections to the broker are cut: it connects again and goes on by its ledger."""
    messages, job = make_messages(MESSAGES, 61), JOBS[1]
    other_world.fill(messages)
    queue = fused(other_world.config, other_world.url, Fuse(), lock_seconds=30)
    queue.fuse = Fuse(step, nth, lambda: cut(queue))
    record = drain(queue, job, RUN)
    queue.close()
    assert queue.fuse.seen >= nth
    counts = compare_places(other_world, expected_after(job, messages, []), record.selected)
    assert counts.marked <= WINDOW
    judge(counts)


def cut(queue: Any) -> None:
    """Shut the sockets of a queue's connections to its broker, so that nothing that is under way is answered."""
    if isinstance(queue, FusedClusterQueue):
        found = [wire._connection and wire._connection._sock for wire in queue._wire._wires.values()]  # type: ignore[attr-defined]
    else:
        connections = [wire._connection for wire in (queue._rabbit, queue._flights._wire)]
        found = [connection and connection._transport._sock for connection in connections]
    for sock in filter(None, found):
        sock.shutdown(socket.SHUT_RDWR)


def test_a_second_drain_is_refused_while_the_first_works(other_world: AnyWorld, judge: Judge) -> None:
    """The refusal says who holds the queue; the first goes on undisturbed."""
    messages, job = make_messages(MESSAGES, 62), Job(corrupted=None)
    other_world.fill(messages)
    rival = fused(other_world.config, other_world.url, Fuse())
    refusals: list[str] = []

    def try_too() -> None:
        with pytest.raises(LockedError) as refused:
            drain(rival, job, RIVAL, who="the second")
        refusals.append(str(refused.value))

    first = fused(other_world.config, other_world.url, Fuse("wave-end", 1, try_too), lock_seconds=30)
    record = drain(first, job, RUN, who="the first")
    assert RUN in refusals[0]
    assert "the first" in refusals[0]
    assert rival.run(RIVAL) is None
    for queue in (first, rival):
        queue.close()
    judge(compare_places(other_world, expected_after(job, messages, []), record.selected))


@pytest.mark.parametrize("step", ["decide-after", "wave-end"])
def test_a_rival_after_an_expired_lock_takes_over(step: str, other_world: AnyWorld, judge: Judge) -> None:
    """The first slept too long: it is told so, and between the two of them no message is lost or moved twice."""
    messages, job = make_messages(MESSAGES, 63), Job(corrupted=None)
    other_world.fill(messages)
    rivals: list[int] = []

    def oversleep() -> None:
        other_world.unlock()
        rival = fused(other_world.config, other_world.url, Fuse())
        rivals.append(drain(rival, Job(corrupted=None, max_batches=1), RIVAL, who="the second").selected)
        rival.close()

    first = fused(other_world.config, other_world.url, Fuse(step, 1, oversleep), lock_seconds=30)
    with pytest.raises(LockLostError, match=RUN):
        drain(first, job, RUN, who="the first")
    first.close()
    second = fused(other_world.config, other_world.url, Fuse())
    record = second.run(RUN)
    second.close()
    assert record is not None
    assert rivals
    counts = compare(other_world, messages, record.selected + rivals[0])
    assert counts.marked <= WINDOW
    judge(counts)
