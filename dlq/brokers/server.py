"""What a broker can say of itself: who takes messages from it, and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Taker:
    """A client that takes messages from queues: one that waits for one now, or whose last command took one.

    `idle` is in seconds. Which queue it takes from, brokers may not tell.
    """

    name: str
    waits: bool
    idle: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that are used, and the limit; None for no limit."""

    used: int
    limit: int | None

    @property
    def free(self) -> int | None:
        """Bytes up to the limit; None without one."""
        return None if self.limit is None else max(0, self.limit - self.used)


class BrokerServer(Protocol):
    """The server behind a queue. Errors are those of `dlq.errors`."""

    def takers(self) -> list[Taker]:
        """List the clients that take messages."""

    def memory(self) -> Memory:
        """Look at the memory."""

    def close(self) -> None:
        """Let go of the connection."""
