"""What the masters of a cluster say of their clients and their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.brokers.redis_server import RedisServer

if TYPE_CHECKING:
    from dlq.brokers.cluster_wire import ClusterWire
    from dlq.brokers.server import Memory, Taker


class ClusterServer:
    """All masters of a cluster, asked about themselves."""

    def __init__(self, wire: ClusterWire) -> None:
        """Take the wire; the first call uses it."""
        self._wire = wire

    def takers(self) -> list[Taker]:
        """List the clients of any master that take messages."""
        return [taker for wire in self._wire.masters() for taker in RedisServer(wire).takers()]

    def memory(self) -> Memory:
        """Look at the memory of the master that has the least left: a queue has a list on it, for all we know."""
        found = [RedisServer(wire).memory() for wire in self._wire.masters()]
        return min(found, key=lambda memory: float("inf") if memory.free is None else memory.free)

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()
