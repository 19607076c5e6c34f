"""What a RabbitMQ says of itself over AMQP, which is how many consumers a queue has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.brokers.server import Memory, Taker
from dlq.errors import BrokerError

if TYPE_CHECKING:
    from dlq.brokers.rabbit_wire import RabbitWire


class RabbitServer:
    """One RabbitMQ, asked about the consumers of a live queue."""

    def __init__(self, wire: RabbitWire, live: str) -> None:
        """Take the connection; the first call uses it."""
        self._wire = wire
        self._live = live

    def takers(self) -> list[Taker]:
        """List the consumers of the live queue, which have no names here; each waits for messages."""
        count = self._wire.consumers(f"count the consumers of {self._live}", self._live)
        return [Taker(f"consumer {number + 1} of {self._live}", waits=True, idle=0.0) for number in range(count)]

    def memory(self) -> Memory:
        """Say that it is not known: RabbitMQ tells of its memory by its management plugin only."""
        raise BrokerError("RabbitMQ does not tell of its memory over AMQP; it blocks publishers when it runs out.")

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()
