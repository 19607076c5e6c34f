"""The lists of a queue as the demo's producers and workers use them, the same on each broker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

from dlq.brokers.redis_address import Seeds
from dlq.config import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlq.config.settings import Settings

_WAIT_SECONDS: Final = 1
_PUSHED_AT_ONCE: Final = 500


class Lists(Protocol):
    """What applications do with queues. A name is a list's key in Redis, a queue's name in RabbitMQ."""

    def push(self, name: str, messages: Sequence[bytes]) -> None:
        """Push messages, the oldest first."""

    def take(self, name: str, most: int) -> list[bytes]:
        """Take up to so many messages, the oldest first; wait a second for the first of them."""

    def length(self, name: str) -> int:
        """Count the messages that are ready."""

    def all(self, name: str) -> list[bytes]:
        """Give all messages, in any order, and leave them where they are."""

    def close(self) -> None:
        """Let go of the connection; what was taken is done with."""


@contextmanager
def open_lists(settings: Settings) -> Iterator[Lists]:
    """Open the lists where the settings say that the queues are."""
    url = settings.broker.get_secret_value()
    lists: Lists = RabbitLists(url) if url.startswith(addresses.RABBIT) else RedisLists(url)
    try:
        yield lists
    finally:
        lists.close()


class RedisLists:
    """Lists in a Redis or in a cluster. No command is sent twice: a pop whose answer was lost would lose messages."""

    def __init__(self, url: str) -> None:
        """Prepare; the first call connects."""
        once: Any = Retry(NoBackoff(), 0)
        if url.startswith(addresses.CLUSTER):
            node: Any = ClusterNode  # redis-py leaves it without annotations
            nodes = [node(host, port) for host, port in Seeds.of(url).nodes]
            self._client: Any = RedisCluster(startup_nodes=nodes, retry=once)
        else:
            self._client = redis.Redis.from_url(url, retry=once)

    def push(self, name: str, messages: Sequence[bytes]) -> None:
        """Push messages, the oldest first."""
        for start in range(0, len(messages), _PUSHED_AT_ONCE):
            self._client.lpush(name, *messages[start : start + _PUSHED_AT_ONCE])

    def take(self, name: str, most: int) -> list[bytes]:
        """Take up to so many messages, the oldest first; wait a second for the first of them."""
        first = self._client.brpop(name, timeout=_WAIT_SECONDS)
        if first is None:
            return []
        return [first[1], *((self._client.rpop(name, most - 1) if most > 1 else None) or [])]

    def length(self, name: str) -> int:
        """Count the messages."""
        return int(self._client.llen(name))

    def all(self, name: str) -> list[bytes]:
        """Give all messages, the newest first."""
        return cast("list[bytes]", self._client.lrange(name, 0, -1))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


class RabbitLists:
    """Queues of RabbitMQ, declared as they are met. What was taken is acknowledged with the next call."""

    def __init__(self, url: str) -> None:
        """Connect."""
        import pika  # noqa: PLC0415 - most demos have no RabbitMQ

        self._connection: Any = pika.BlockingConnection(pika.URLParameters(url))
        self._channel: Any = self._connection.channel()
        self._lasting = pika.BasicProperties(delivery_mode=2)
        self._consuming = False
        self._taken = 0

    def push(self, name: str, messages: Sequence[bytes]) -> None:
        """Publish messages, the oldest first; they are in the queue when its length is answered."""
        self.length(name)
        for message in messages:
            self._channel.basic_publish("", name, message, self._lasting)
        self.length(name)

    def take(self, name: str, most: int) -> list[bytes]:
        """Take up to so many messages, the oldest first; wait a second for the first of them."""
        self._acknowledge()
        if not self._consuming:
            self._channel.basic_qos(prefetch_count=most)
            self._consuming = True
        found: list[bytes] = []
        for method, _, body in self._channel.consume(name, inactivity_timeout=_WAIT_SECONDS):
            if method is None:
                break
            found.append(body)
            self._taken = method.delivery_tag
            if len(found) == most or not self._channel.get_waiting_message_count():
                break
        return found

    def length(self, name: str) -> int:
        """Count the messages that are ready, and declare the queue."""
        return int(self._channel.queue_declare(name, durable=True).method.message_count)

    def all(self, name: str) -> list[bytes]:
        """Get all messages, and give them back by closing the channel; a queue that nobody needed yet has none."""
        self.length(name)
        looking, found = self._connection.channel(), []
        while (body := looking.basic_get(name)[2]) is not None:
            found.append(body)
        looking.close()
        return found

    def close(self) -> None:
        """Acknowledge what was taken, and disconnect."""
        self._acknowledge()
        self._connection.close()

    def _acknowledge(self) -> None:
        if self._taken:
            self._channel.basic_ack(self._taken, multiple=True)
            self._taken = 0
