"""A Redis Cluster of three masters with a replica each, whose slots a test can move."""

from collections.abc import Callable
from typing import Any

import redis

from dlq.embedded.cluster import EmbeddedCluster, ask, node_id
from dlq.embedded.redis import EmbeddedRedis
from tests.servers import OLDEST_REDIS, find_redis_server, missing


class TestCluster(EmbeddedCluster):
    """Six nodes of redis-server."""

    __test__ = False  # pytest collects classes by their name

    def __init__(self) -> None:
        super().__init__(replicas=True, binary=find_redis_server() or missing(f"redis-server {OLDEST_REDIS} or newer"))

    def masters(self) -> list[EmbeddedRedis]:
        """Give the nodes that are masters now."""
        return [node for node in self.nodes if node.running and _role(node) == "master"]

    def owner(self, slot: int) -> EmbeddedRedis:
        """Give the master that a slot is on, whether it is alive or not."""
        for start, end, master, *_ in ask(self.masters()[0], "CLUSTER", "SLOTS"):
            if start <= slot <= end:
                return next(node for node in self.nodes if node.port == master[1])
        raise AssertionError(f"slot {slot} is on no node")

    def flush(self) -> None:
        """Empty the cluster."""
        for node in self.masters():
            ask(node, "FLUSHALL")

    def move_slot(self, slot: int, to: EmbeddedRedis, between: Callable[[], None] = lambda: None) -> None:
        """Move a slot with its keys to another master, key by key; `between` is called after each."""
        source = self.owner(slot)
        ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
        ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(to))
        while keys := ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1):
            ask(source, "MIGRATE", "127.0.0.1", to.port, "", 0, 10_000, "KEYS", *keys)
            between()
        for node in (to, source, *self.masters()):
            ask(node, "CLUSTER", "SETSLOT", slot, "NODE", node_id(to))


def _role(node: EmbeddedRedis) -> Any:
    with redis.Redis.from_url(node.url) as client:
        return client.info("replication")["role"]
