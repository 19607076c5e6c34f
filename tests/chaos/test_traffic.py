"""Everybody else goes on working while a drain and a rollback run."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle

import pytest
import redis

from dlq.rollback import roll_back
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain
from tests.chaos.trials import RUN
from tests.chaos.truth import Counts, World, compare, make_messages

_PAUSE = 0.002  # seconds; leaves the two cores to the others


class Traffic:
    """Producers and workers, each with a connection of its own; `pushed` and `popped` are the truth."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self._stopped = threading.Event()
        self._supply = cycle(make_messages(1_000, seed))
        self.pushed: list[bytes] = []
        self.popped: list[bytes] = []

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Keep the traffic up for a `with` block."""
        dlq, live, _ = self._world.keys
        tasks: list[Callable[[redis.Redis], None]] = [
            lambda client: self._push(client, live),
            lambda client: self._push(client, dlq),
            lambda client: self._pop(client, live, 3),
            lambda client: self._pop(client, dlq, 1),
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

    def _loop(self, task: Callable[[redis.Redis], None]) -> None:
        with redis.Redis.from_url(self._world.url) as client:
            while not self._stopped.wait(_PAUSE):
                task(client)

    def _push(self, client: redis.Redis, key: str) -> None:
        message = next(self._supply)
        self.pushed.append(message)  # list.append is atomic: the two producers share it
        client.lpush(key, message)

    def _pop(self, client: redis.Redis, key: str, count: int) -> None:
        for _ in range(count):
            message = client.rpop(key)
            if isinstance(message, bytes):
                self.popped.append(message)


@pytest.mark.parametrize(
    "job", [Job(corrupted=None), Job(types=("order.created",)), Job(kind="quarantine", corrupted=None)], ids=str
)
@pytest.mark.parametrize("seed", [51, 52])
def test_nothing_is_lost_while_producers_and_workers_go_on(job: Job, seed: int, world: World, judge: Judge) -> None:
    """A drain and its rollback move around what others push and pop all the time."""
    messages, others = make_messages(3_000, seed), make_messages(1_000, seed + 100)
    world.fill(messages, others)
    traffic = Traffic(world, seed + 200)
    queue = FusedQueue(world.config, world.url, Fuse(), lock_seconds=30)
    with traffic.flowing():
        record = drain(queue, job, RUN)
        undone = roll_back(queue, world.config, RUN, "chaos")
    queue.close()
    world.popped = traffic.popped
    counts: Counts = compare(world, [*messages, *others, *traffic.pushed], record.selected)
    judge(counts)
    assert undone.withdrawn + undone.out_of_reach == record.selected
    assert traffic.popped
