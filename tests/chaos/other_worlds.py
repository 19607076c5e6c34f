"""The same queue in a Redis Cluster and in RabbitMQ, and those who push and take there meanwhile."""

from collections import Counter
from typing import Protocol

import pika
from redis.cluster import RedisCluster

from dlq.embedded.rabbit import EmbeddedRabbit
from dlq.embedded.redis import EmbeddedRedis
from dlq.records.ledger import DUPLICATE
from tests.chaos.truth import World
from tests.clusters import TestCluster


class Tap(Protocol):
    """A connection of somebody else's: of a producer or a worker."""

    def push(self, key: str, message: bytes) -> None:
        """Push a message."""

    def pop(self, key: str) -> bytes | None:
        """Take the oldest message, for good."""

    def close(self) -> None:
        """Disconnect."""


class ClusterWorld(World):
    """A queue whose lists lie in three slots."""

    broker = "redis cluster"

    def __init__(self, cluster: TestCluster) -> None:
        self.port = cluster.nodes[0].port
        super().__init__(cluster.url)

    def connect(self) -> RedisCluster:
        """Open the client that looks at the keys."""
        return RedisCluster(host="127.0.0.1", port=self.port)

    def fill(self, dlq: list[bytes], live: list[bytes] = []) -> None:  # noqa: B006 - never changed
        """Empty the cluster and push messages, oldest first."""
        self.client.flushall(target_nodes=RedisCluster.PRIMARIES)
        self.popped = []
        for key, messages in ((self.config.dlq, dlq), (self.config.live, live)):
            for start in range(0, len(messages), 500):
                self.client.lpush(key, *messages[start : start + 500])

    def strangers(self) -> list[bytes]:
        """Read the messages in lists that nobody knows: what is in transit is one."""
        known = {key.encode() for key in self.keys}
        found: list[bytes] = []
        for key in self.client.scan_iter(target_nodes=RedisCluster.PRIMARIES):
            if key not in known and self.client.type(key) == b"list":
                found += self.client.lrange(key, 0, -1)
        return found

    def unlock(self) -> None:
        """Remove the queue's lock, as if it had expired."""
        self.client.delete(f"dlq-drain:{{{self.config.dlq}}}:lock")

    def tap(self) -> Tap:
        """Connect somebody else."""
        return ClusterTap(self.port)

    def close(self) -> None:
        """Disconnect."""
        self.client.close()


class ClusterTap:
    """A producer or worker of a cluster."""

    def __init__(self, port: int) -> None:
        self._client = RedisCluster(host="127.0.0.1", port=port)

    def push(self, key: str, message: bytes) -> None:
        """Push a message."""
        self._client.lpush(key, message)

    def pop(self, key: str) -> bytes | None:
        """Take the oldest message."""
        found: bytes | None = self._client.rpop(key)
        return found

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


class RabbitWorld(World):
    """A queue in RabbitMQ, with its ledger in a Redis."""

    broker = "rabbitmq"
    ordered = False  # what a killed process held comes back behind what it had moved

    def __init__(self, rabbit: EmbeddedRabbit, server: EmbeddedRedis, kind: str = "classic") -> None:
        super().__init__(server.url)
        self.kind = kind
        self.broker = "rabbitmq" if kind == "classic" else f"rabbitmq, {kind} queues"
        self.rabbit = rabbit
        self.url = f"{rabbit.url} {server.url}"
        self.taken_marked: Counter[bytes] = Counter()
        self._marked: Counter[bytes] = Counter()

    def fill(self, dlq: list[bytes], live: list[bytes] = []) -> None:  # noqa: B006 - never changed
        """Empty ledger and queues, and publish messages, oldest first."""
        self.client.flushall()
        self.popped, self.taken_marked = [], Counter()
        tap = RabbitTap(self)
        for key in self.keys:
            tap.channel.queue_delete(key)
            tap.channel.queue_declare(key, durable=True, arguments={"x-queue-type": self.kind})
        for key, messages in ((self.config.dlq, dlq), (self.config.live, live)):
            for message in messages:
                tap.push(key, message)
            tap.channel.queue_declare(key, passive=True)  # answered when all of them are there
        tap.close()

    def places(self) -> tuple[list[bytes], ...]:
        """Read the three queues whole."""
        looks = [self._look(key) for key in self.keys]
        self._marked = Counter(body for look in looks for body, marked in look if marked)
        return tuple([body for body, _ in look] for look in looks)

    def marked(self) -> Counter[bytes]:
        """Count the messages that are marked as possible copies: those of the last `places`, and those taken."""
        return self._marked + self.taken_marked

    def strangers(self) -> list[bytes]:
        """Nothing lies elsewhere: the ledger has copies only."""
        return []

    def _look(self, key: str) -> list[tuple[bytes, bool]]:
        tap = RabbitTap(self)
        found = []
        while True:
            method, properties, body = tap.channel.basic_get(key)
            if method is None:
                break
            found.append((body, DUPLICATE in (properties.headers or {})))
        tap.close()  # gives all of them back
        return found

    def unlock(self) -> None:
        """Remove the queue's lock, as if it had expired."""
        self.client.delete(*self.client.keys("dlq-drain:*:lock"))

    def tap(self) -> Tap:
        """Connect somebody else."""
        return RabbitTap(self)

    def close(self) -> None:
        """Disconnect."""
        self.client.close()


class RabbitTap:
    """A producer or worker of RabbitMQ."""

    def __init__(self, world: RabbitWorld) -> None:
        self._world = world
        self._connection = pika.BlockingConnection(pika.URLParameters(world.rabbit.url))
        self.channel = self._connection.channel()

    def push(self, key: str, message: bytes) -> None:
        """Publish a message."""
        self.channel.basic_publish("", key, message, pika.BasicProperties(delivery_mode=2))

    def pop(self, key: str) -> bytes | None:
        """Take the oldest message, for good."""
        method, properties, body = self.channel.basic_get(key, auto_ack=True)
        if method is not None and DUPLICATE in (properties.headers or {}):
            self._world.taken_marked[body] += 1
        return None if method is None else body

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


AnyWorld = ClusterWorld | RabbitWorld
