"""A queue with its lists at hand, on any adapter: what the conformance tests and the tests of policy stand on."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pika
import pytest
import redis
from redis.cluster import RedisCluster

from dlq.brokers.base import Batch, Place, Receipt, Route
from dlq.brokers.cluster_wire import ClusterWire
from dlq.brokers.memory import MemoryQueue, MemoryStore
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.brokers.rabbit_queue import RabbitQueue
from dlq.brokers.redis_address import Seeds
from dlq.brokers.redis_cluster import RedisClusterQueue
from dlq.brokers.redis_list import RedisListQueue
from dlq.brokers.redis_notebook import RedisNotebook
from dlq.brokers.redis_wire import RABBIT_SCRIPTS, SCRIPTS, Wire
from dlq.config.settings import QueueConfig
from dlq.embedded.rabbit import EmbeddedRabbit
from dlq.engine.rollback import Undone, roll_back
from dlq.engine.run import Kind, Request, Run, start
from dlq.engine.sift import Verdict
from dlq.engine.verify import Outcome, verify
from dlq.messages.reading import Reading
from dlq.records.ledger import RunRecord, entry_prefix, fingerprint
from dlq.records.notebook import Notebook
from tests.clusters import TestCluster

CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
ADAPTERS = ("memory", "redis", "embedded", "cluster", "rabbit")
KEYS = {Place.DLQ: CONFIG.dlq, Place.LIVE: CONFIG.live, Place.QUARANTINE: CONFIG.quarantine}
Queue = RedisListQueue | RedisClusterQueue | RabbitQueue | MemoryQueue
T = TypeVar("T")


def letter(number: int, **more: object) -> bytes:
    """Make a dead letter; even numbers are webhooks, odd ones emails."""
    body = {"type": ("webhook", "email")[number % 2], "id": f"e{number}", "retryCount": number % 5, **more}
    return json.dumps(body).encode()


def is_of(kind: str, message: bytes) -> bool:
    """Say whether a letter is of a type."""
    return bool(json.loads(message)["type"] == kind)


class Desk(ABC):
    """One queue on one broker. Lists are shown oldest first, as they are consumed."""

    def __init__(self) -> None:
        self.connections: list[Queue] = []
        self.queue: Queue = self.connect()

    @abstractmethod
    def _open(self, lock_seconds: float) -> Queue:
        """Make one more connection."""

    @abstractmethod
    def put(self, *messages: bytes, place: Place = Place.DLQ) -> None:
        """Push messages as producers do, the oldest first."""

    @abstractmethod
    def take(self, count: int, place: Place = Place.LIVE) -> list[bytes]:
        """Pop messages as workers do."""

    @abstractmethod
    def notebook(self) -> Notebook:
        """Open the notebook that lies beside the ledger."""

    def connect(self, lock_seconds: float = 30) -> Queue:
        """Connect once more, as another process would."""
        self.connections.append(self._open(lock_seconds))
        return self.connections[-1]

    def show(self, place: Place = Place.DLQ) -> list[bytes]:
        """Read a whole list."""
        return self.queue.read(place, 0, 1_000_000).result()

    def everything(self) -> list[bytes]:
        """Read all lists, sorted."""
        return sorted(message for place in Place for message in self.show(place))

    def start(self, kind: Kind = Kind.DRAIN, name: str = "r1", who: str = "ada", **request: Any) -> Run:
        """Begin a run."""
        return start(self.queue, CONFIG, Request(kind, who, **request), name)

    def run(self, kind: Kind = Kind.DRAIN, name: str = "r1", wave: int | None = None, **request: Any) -> RunRecord:
        """Do a run to its end, in waves of `wave` messages (None: one wave)."""
        run = self.start(kind, name, **request)
        number = 1
        while not run.wave(number, wave).ended:
            number += 1
        return run.finish()

    def undo(self, name: str = "r1") -> Undone:
        """Roll a run back."""
        return roll_back(self.queue, CONFIG, name, "ada")

    def outcome(self, name: str = "r1") -> Outcome:
        """Verify a run."""
        return verify(self.queue, name, Reading.of(CONFIG))

    def close(self) -> None:
        """Close every connection."""
        for connection in self.connections:
            connection.close()


class RedisDesk(Desk):
    """A queue on a Redis."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url)
        super().__init__()

    def _open(self, lock_seconds: float) -> Queue:
        return RedisListQueue(CONFIG, self.url, lock_seconds=lock_seconds)

    def notebook(self) -> Notebook:
        """Open the notebook that lies beside the ledger."""
        return RedisNotebook(CONFIG.name, CONFIG.dlq, Wire(self.url))

    def put(self, *messages: bytes, place: Place = Place.DLQ) -> None:
        """Push messages, the oldest first."""
        self.client.lpush(KEYS[place], *messages)

    def take(self, count: int, place: Place = Place.LIVE) -> list[bytes]:
        """Pop messages, the oldest first."""
        taken: Any = self.client.rpop(KEYS[place], count)
        return list(taken or ())

    def close(self) -> None:
        """Close the client too."""
        super().close()
        self.client.close()


class ClusterDesk(Desk):
    """A queue in a cluster, each of its lists in another slot."""

    def __init__(self, cluster: TestCluster) -> None:
        self.url = cluster.url
        self.client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
        super().__init__()

    def _open(self, lock_seconds: float) -> Queue:
        return RedisClusterQueue(CONFIG, ClusterWire(Seeds.of(self.url)), lock_seconds=lock_seconds)

    def notebook(self) -> Notebook:
        """Open the notebook that lies beside the ledger."""
        return RedisNotebook(CONFIG.name, CONFIG.dlq, ClusterWire(Seeds.of(self.url)))

    def put(self, *messages: bytes, place: Place = Place.DLQ) -> None:
        """Push messages, the oldest first."""
        self.client.lpush(KEYS[place], *messages)

    def take(self, count: int, place: Place = Place.LIVE) -> list[bytes]:
        """Pop messages, the oldest first."""
        taken: Any = self.client.rpop(KEYS[place], count)
        return list(taken or ())

    def close(self) -> None:
        """Close the client too."""
        super().close()
        self.client.close()


class RabbitDesk(Desk):
    """An empty queue of RabbitMQ, with its ledger on an empty Redis."""

    def __init__(self, rabbit: EmbeddedRabbit, redis_url: str, kind: str = "classic") -> None:
        self.rabbit, self.redis_url, self.kind = rabbit, redis_url, kind
        self.client = redis.Redis.from_url(redis_url)
        self.client.flushall()
        self.connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        for key in KEYS.values():
            self.channel.queue_delete(key)
            self.channel.queue_declare(key, durable=True, arguments={"x-queue-type": kind})
        super().__init__()

    def _open(self, lock_seconds: float) -> Queue:
        ledger = Wire(self.redis_url, scripts=SCRIPTS + RABBIT_SCRIPTS)
        return RabbitQueue(CONFIG, self.rabbit.url, ledger, lock_seconds=lock_seconds)

    def notebook(self) -> Notebook:
        """Open the notebook that lies beside the ledger."""
        return RedisNotebook(CONFIG.name, CONFIG.dlq, Wire(self.redis_url))

    def put(self, *messages: bytes, place: Place = Place.DLQ) -> None:
        """Publish messages, the oldest first."""
        for message in messages:
            self.channel.basic_publish("", KEYS[place], message, pika.BasicProperties(delivery_mode=2))

    def take(self, count: int, place: Place = Place.LIVE) -> list[bytes]:
        """Get messages, the oldest first."""
        taken = []
        for _ in range(count):
            _, _, body = self.channel.basic_get(KEYS[place], auto_ack=True)
            if body is None:
                break
            taken.append(body)
        return taken

    def close(self) -> None:
        """Close the clients too."""
        super().close()
        self.connection.close()
        self.client.close()


class MemoryDesk(Desk):
    """A queue in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        super().__init__()

    def _open(self, lock_seconds: float) -> Queue:
        return MemoryQueue(CONFIG, self.store, lock_seconds=lock_seconds)

    def notebook(self) -> Notebook:
        """Open an empty notebook."""
        return MemoryNotebook()

    def put(self, *messages: bytes, place: Place = Place.DLQ) -> None:
        """Push messages, the oldest first."""
        self.store.lists[place][:0] = messages[::-1]

    def take(self, count: int, place: Place = Place.LIVE) -> list[bytes]:
        """Pop messages, the oldest first."""
        messages = self.store.lists[place]
        taken = messages[max(0, len(messages) - count) :][::-1]
        del messages[max(0, len(messages) - count) :]
        return taken


def open_desk(adapter: str, request: pytest.FixtureRequest) -> Desk:
    """Open an empty queue on the adapter of this name."""
    if adapter == "memory":
        return MemoryDesk()
    if adapter == "cluster":
        cluster: TestCluster = request.getfixturevalue("redis_cluster")
        cluster.flush()
        return ClusterDesk(cluster)
    if adapter == "rabbit":
        return RabbitDesk(request.getfixturevalue("rabbit_server"), request.getfixturevalue("redis_server").url)
    desk = RedisDesk(request.getfixturevalue(f"{adapter}_server").url)
    desk.client.flushall()
    return desk


class ByLetter:
    """Decides by a function from message to action; an edited message gets `edited:` in front."""

    def __init__(self, action: Callable[[bytes], bytes]) -> None:
        self._action = action

    def __call__(self, messages: list[bytes]) -> Verdict:
        """Apply the function to each message."""
        actions = b"".join(map(self._action, messages))
        batch = batch_of(1, messages, actions)
        entries = [batch.entries[i : i + 19] for i in range(0, len(batch.entries), 19)]
        return Verdict(actions, entries, list(batch.edited), [1] * len(messages))

    def take_back(self, verdict: Verdict) -> None:
        """Use nothing up."""

    def new_signatures(self) -> list[tuple[int, str]]:
        """Name none."""
        return []


def batch_of(sequence: int, messages: Sequence[bytes], actions: bytes) -> Batch:
    """Make a batch by hand, with a ledger entry for each message that is not kept."""
    single = actions * len(messages) if len(actions) == 1 else actions
    pairs = [(bytes([code]), message) for code, message in zip(single, messages, strict=True)]
    entries = b"".join(entry_prefix(a, 1) + fingerprint(m) + fingerprint(m) for a, m in pairs if a != b"k")
    edited = [b"edited:" + message for action, message in pairs if action == b"e"]
    return Batch(sequence, 1, len(messages), messages, actions, entries, edited, ((1, '["webhook","",""]'),))


def commit(desk: Desk, batch: Batch, route: Route | None = None) -> Receipt:
    """Begin run `by-hand` once and commit a batch of it."""
    route = route or Route()
    hold = desk.queue.acquire("by-hand", "ada", take_over=True)
    desk.queue.begin(hold, route, 0, {"queue": "webhooks", "kind": "drain", "started_at": "1"})
    return desk.queue.commit(hold, route, batch).result()


def only(items: Iterable[T]) -> T:
    """Give the one item there is."""
    (item,) = items
    return item
