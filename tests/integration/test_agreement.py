"""The Redis adapter and the one in memory do the same, message for message."""

from collections.abc import Callable, Iterator

import pytest
import redis

from dlq.brokers.base import Place, Route
from dlq.brokers.memory import MemoryQueue
from dlq.brokers.redis_list import RedisListQueue
from dlq.config.settings import QueueConfig
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.sift import Sift, Verdict
from dlq.records.ledger import entry_prefix, fingerprint

CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
MESSAGES = [b"%d:%s" % (number, b"x" * (number % 700)) for number in range(2500)]
Everything = tuple[dict[Place, list[bytes]], list[tuple[int, int, int, int, bytes]], dict[str, int]]


class ByLetter:
    """Decides by a function from message to action."""

    def __init__(self, action: Callable[[bytes], bytes]) -> None:
        self._action = action

    def __call__(self, messages: list[bytes]) -> Verdict:
        """Apply the function to each message."""
        actions = b"".join(map(self._action, messages))
        pairs = list(zip((bytes([code]) for code in actions), messages, strict=True))
        entries = [entry_prefix(a, 1) + fingerprint(m) + bytes(8) for a, m in pairs if a != b"k"]
        return Verdict(actions, entries, [b"edited" + m for a, m in pairs if a == b"e"], [1] * len(messages))

    def take_back(self, verdict: Verdict) -> None:
        """Use nothing up."""

    def new_signatures(self) -> list[tuple[int, str]]:
        """Name none."""
        return []


@pytest.fixture
def queues(server: EmbeddedRedis) -> Iterator[tuple[RedisListQueue, MemoryQueue]]:
    """Both adapters, with the same messages in the DLQ."""
    with redis.Redis.from_url(server.url) as client:
        client.lpush(CONFIG.dlq, *MESSAGES)
    on_redis, in_memory = RedisListQueue(CONFIG, server.url), MemoryQueue(CONFIG)
    in_memory.store.lists[Place.DLQ][:] = MESSAGES[::-1]
    yield on_redis, in_memory
    on_redis.close()


def sifted(queue: RedisListQueue | MemoryQueue, action: Callable[[bytes], bytes], budget: int | None) -> Everything:
    """Run one wave and show everything that can be seen afterwards."""
    hold = queue.acquire("run-1", "ada")
    record = queue.begin(hold, Route(), 0, {"queue": "webhooks", "kind": "drain", "started_at": "1"})
    sift = Sift(queue, hold, Route(), record, ByLetter(action))
    sift.wave(1, budget)
    sift.complete()
    queue.finish(hold, "done", {})
    queue.release(hold)
    lists = {place: queue.read(place, 0, 10_000).result() for place in Place}
    batches = [(b.scanned, b.kept, b.arrived, b.wave, b.entries) for b in queue.batches("run-1")]
    after = queue.run("run-1")
    assert after is not None
    names = ("scanned", "kept", "redriven", "edited", "quarantined", "dropped", "remaining", "sequence", "frozen")
    return lists, batches, {name: getattr(after, name) for name in names}


@pytest.mark.parametrize("budget", [None, 1, 700])
@pytest.mark.parametrize(
    "action",
    [lambda _: b"m", lambda _: b"k", lambda m: b"mk"[m[0] % 2 :][:1], lambda m: b"mkeqd"[m[0] % 5 :][:1]],
    ids=["all", "none", "some", "everything at once"],
)
def test_both_adapters_do_the_same(
    queues: tuple[RedisListQueue, MemoryQueue], action: Callable[[bytes], bytes], budget: int | None
) -> None:
    """The lists, the ledger and the counts are the same after the same wave."""
    on_redis, in_memory = queues
    assert sifted(on_redis, action, budget) == sifted(in_memory, action, budget)


def test_kept_messages_are_in_their_old_order(queues: tuple[RedisListQueue, MemoryQueue]) -> None:
    """A wave that stops early turns the rest, so that the oldest is consumed first again."""
    on_redis, _ = queues
    lists, _, counts = sifted(on_redis, lambda m: b"mk"[m[0] % 2 :][:1], 300)
    assert counts["redriven"] == 300
    moved = set(lists[Place.LIVE])
    assert lists[Place.DLQ] == [message for message in MESSAGES if message not in moved]
    assert lists[Place.LIVE] == [message for message in MESSAGES if message in moved]
