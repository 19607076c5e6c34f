"""What a Redis says of its clients and its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.server import Memory, Taker

if TYPE_CHECKING:
    from dlq.brokers.redis_wire import RedisWire

TAKES: Final = frozenset(
    {"blmove", "blmpop", "blpop", "brpop", "brpoplpush", "lmove", "lmpop", "lpop", "rpop", "rpoplpush"}
)
"""Commands that take an element off a list. A consumer that takes by a script is not known by its last command."""


class RedisServer:
    """One Redis, asked about itself.

    https://redis.io/docs/latest/commands/client-list/ and https://redis.io/docs/latest/commands/info/
    """

    def __init__(self, wire: RedisWire) -> None:
        """Take the connection; the first call uses it."""
        self._wire = wire

    def takers(self) -> list[Taker]:
        """List the clients that wait for an element of a list, or whose last command took one."""
        found = []
        for line in _text(self._wire.call("list the clients of Redis", "CLIENT", "LIST")).splitlines():
            said = dict(pair.partition("=")[::2] for pair in line.split(" "))
            if said.get("cmd", "").partition("|")[0] in TAKES:
                name = said.get("name") or said.get("addr", "?")
                found.append(Taker(name, "b" in said.get("flags", ""), float(said.get("idle") or 0)))
        return found

    def memory(self) -> Memory:
        """Look at the memory; `maxmemory 0` is no limit but the machine's own."""
        lines = _text(self._wire.call("look at the memory of Redis", "INFO", "memory")).splitlines()
        said = dict(line.partition(":")[::2] for line in lines)
        most = int(said.get("maxmemory") or 0) or int(said.get("total_system_memory") or 0)
        return Memory(int(said.get("used_memory") or 0), most or None)

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()


def _text(answer: Any) -> str:
    text: str = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return text.removeprefix("txt:")
