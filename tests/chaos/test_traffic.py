"""Everybody else goes on working while a drain and a rollback run."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle

import pytest
import redis

from dlq.engine.rollback import roll_back
from dlq.errors import QueueDisturbedError
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain, go_on
from tests.chaos.trials import RUN
from tests.chaos.truth import World, compare, make_messages

_PAUSE = 0.002  # seconds; leaves the two cores to the others


class Traffic:
    """Producers and workers, each with a connection of its own; `pushed` and `popped` are the truth."""

    def __init__(self, world: World, seed: int, thief_pause: float) -> None:
        self._world = world
        self._thief_pause = thief_pause
        self._stopped = threading.Event()
        self._supply = cycle(make_messages(1_000, seed))
        self.pushed: list[bytes] = []
        self.popped: list[bytes] = []

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Keep the traffic up for a `with` block."""
        dlq, live, _ = self._world.keys
        tasks: list[tuple[float, Callable[[redis.Redis], None]]] = [
            (_PAUSE, lambda client: self._push(client, live)),
            (_PAUSE, lambda client: self._push(client, dlq)),
            (_PAUSE, lambda client: self._pop(client, live, 3)),
            (self._thief_pause, lambda client: self._pop(client, dlq, 1)),
        ]
        threads = [threading.Thread(target=self._loop, args=task) for task in tasks]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _loop(self, pause: float, task: Callable[[redis.Redis], None]) -> None:
        with redis.Redis.from_url(self._world.url) as client:
            while not self._stopped.wait(pause):
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
def test_nothing_is_lost_while_producers_and_workers_go_on(job: Job, world: World, judge: Judge) -> None:
    """A drain and its rollback move around what others push and pop all the time."""
    messages, others = make_messages(6_000, 51), make_messages(1_000, 52)
    world.fill(messages, others)
    traffic = Traffic(world, 53, thief_pause=0.005)
    with _slow(world, 0.001) as queue, traffic.flowing():
        record = drain(queue, job, RUN)
        undone = roll_back(queue, world.config, RUN, "chaos")
    world.popped = traffic.popped
    judge(compare(world, [*messages, *others, *traffic.pushed], record.selected))
    assert undone.withdrawn + undone.out_of_reach == record.selected
    assert traffic.popped


def test_a_greedy_consumer_of_the_dlq_stops_the_drain_at_worst(world: World, judge: Judge) -> None:
    """Somebody takes whole chunks before they can be committed: the drain may give up, and is resumed later."""
    messages = make_messages(3_000, 54)
    world.fill(messages)
    traffic = Traffic(world, 55, thief_pause=0.001)
    with _slow(world, 0.02) as queue:
        with traffic.flowing(), suppress(QueueDisturbedError):
            drain(queue, Job(corrupted=None), RUN)
        record = queue.run(RUN)
        assert record is not None
        if record.state != "done":
            assert record.state == "stopped"
            record = go_on(queue, RUN)
    world.popped = traffic.popped
    judge(compare(world, [*messages, *traffic.pushed], record.selected))


@contextmanager
def _slow(world: World, seconds: float) -> Iterator[FusedQueue]:
    """Open the queue so that others have some time between the reading of a chunk and its commit."""
    queue = FusedQueue(world.config, world.url, Fuse("read-after", 0, lambda: time.sleep(seconds)), lock_seconds=30)
    try:
        yield queue
    finally:
        queue.close()
