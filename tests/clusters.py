"""A Redis Cluster on loopback: three masters with a replica each, every node a process of its own."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import redis

from dlq.embedded import EmbeddedRedis, free_port
from tests.servers import new_server

SLOTS = 16_384
_NODE_SECONDS = 2  # after which a node that does not answer counts as failed
_PATIENCE = 60.0


class TestCluster:
    """Six nodes; `masters` own the slots, in order."""

    __test__ = False  # pytest collects classes by their name

    def __init__(self) -> None:
        self.nodes: list[EmbeddedRedis] = []
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Give the address of all nodes."""
        return "redis-cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        """Start the nodes, and wait until they agree."""
        buses = [free_port() for _ in range(6)]
        for bus in buses:
            options: dict[str, str | int] = {
                "cluster-enabled": "yes",
                "cluster-config-file": "nodes.conf",
                "cluster-node-timeout": _NODE_SECONDS * 1000,
                "cluster-port": bus,
                "cluster-replica-validity-factor": 0,
                "appendonly": "yes",
                "repl-diskless-sync-delay": 0,
            }
            self.nodes.append(self._stack.enter_context(new_server("redis", **options)))
        masters, replicas = self.nodes[:3], self.nodes[3:]
        for number, node in enumerate(masters):
            first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1
            ask(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            ask(node, "CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, buses[0])
        until(lambda: all(known(node) == len(self.nodes) for node in self.nodes))
        for master, replica in zip(masters, replicas, strict=True):
            name = node_id(master)
            until(lambda node=replica, name=name: _says_ok(node, "CLUSTER", "REPLICATE", name))  # type: ignore[misc]
        until(lambda: all(healthy(node) for node in self.nodes))
        until(lambda: all(_has_replica(node) for node in masters))
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        """Stop all nodes."""
        self._stack.close()

    def masters(self) -> list[EmbeddedRedis]:
        """Give the nodes that are masters now."""
        return [node for node in self.nodes if node.running and info(node, "replication")["role"] == "master"]

    def owner(self, slot: int) -> EmbeddedRedis:
        """Give the master that a slot is on."""
        for start, end, master, *_ in ask(self.masters()[0], "CLUSTER", "SLOTS"):
            if start <= slot <= end:
                return next(node for node in self.nodes if node.port == master[1])  # alive or not
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


def ask(node: EmbeddedRedis, *command: Any) -> Any:
    """Ask one node, without following redirections; the answer as the server gave it."""
    with redis.Redis.from_url(node.url) as client:
        connection: Any = client.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            client.connection_pool.release(connection)


def info(node: EmbeddedRedis, section: str) -> dict[str, Any]:
    """Read a section of INFO."""
    with redis.Redis.from_url(node.url) as client:
        found: dict[str, Any] = client.info(section)
        return found


def node_id(node: EmbeddedRedis) -> str:
    """Give the name that a node has in the cluster."""
    name: bytes = ask(node, "CLUSTER", "MYID")
    return name.decode()


def known(node: EmbeddedRedis) -> int:
    """Count the nodes that a node has shaken hands with, itself too."""
    lines = ask(node, "CLUSTER", "NODES").decode().splitlines()
    return sum("handshake" not in line for line in lines)


def healthy(node: EmbeddedRedis) -> bool:
    """Say whether a node finds all slots served."""
    return b"cluster_state:ok" in ask(node, "CLUSTER", "INFO")


def until(true: Callable[[], bool]) -> None:
    """Wait for something."""
    end = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > end:
            raise AssertionError("the cluster did not get there")
        time.sleep(0.05)


def _has_replica(node: EmbeddedRedis) -> bool:
    replica = info(node, "replication").get("slave0", {})
    return bool(replica.get("state") == "online")


def _says_ok(node: EmbeddedRedis, *command: Any) -> bool:
    try:
        return bool(ask(node, *command) == b"OK")
    except redis.ResponseError:
        return False
