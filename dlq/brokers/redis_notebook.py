"""The notebook of a queue in Redis: a hash for each page, a sorted set for each log."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dlq.brokers.redis_keys import LedgerKeys
from dlq.records.notebook import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dlq.brokers.redis_wire import RedisWire

_PICKED = 1_000  # fields read in one call


class RedisNotebook:
    """Pages and logs beside the ledger of one queue."""

    def __init__(self, queue: str, dlq: str, wire: RedisWire, *, keep_days: float = 30) -> None:
        """Prepare; the first call connects. `queue` is for messages, `dlq` the key of its DLQ."""
        self._queue = queue
        self._keys = LedgerKeys(dlq)
        self._wire = wire
        self._keep_ms = int(keep_days * 86_400_000)

    def note(self, topic: str, fields: Mapping[str, str]) -> None:
        """Write fields on a page, over what stood there."""
        if fields:
            self._write(self._keys.page(topic), "HSET", *(part for pair in fields.items() for part in pair))

    def note_once(self, topic: str, field: str, text: str) -> str:
        """Write a field unless it is there already; return what stands there now."""
        self._write(self._keys.page(topic), "HSETNX", field, text)
        stands: bytes | None = self._call("HGET", self._keys.page(topic), field)
        return text if stands is None else stands.decode()

    def count(self, topic: str, field: str, by: int = 1) -> int:
        """Add to a number on a page, atomically; return the sum."""
        return int(self._write(self._keys.page(topic), "HINCRBY", field, by))

    def notes(self, topic: str) -> dict[str, str]:
        """Read a page; an unknown one is empty."""
        raw = self._call("HGETALL", self._keys.page(topic))
        pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
        return {name.decode(): text.decode() for name, text in pairs}

    def pick(self, topic: str, fields: Sequence[str]) -> dict[str, str]:
        """Read some fields of a page; those that are not there are left out."""
        found: dict[str, str] = {}
        for start in range(0, len(fields), _PICKED):
            some = fields[start : start + _PICKED]
            texts = self._call("HMGET", self._keys.page(topic), *some)
            found |= {field: text.decode() for field, text in zip(some, texts, strict=True) if text is not None}
        return found

    def erase(self, topic: str, *fields: str) -> None:
        """Take fields off a page; the whole page when none is named."""
        command = ("HDEL", self._keys.page(topic), *fields) if fields else ("DEL", self._keys.page(topic))
        self._call(*command)

    def append(self, topic: str, entry: Entry) -> None:
        """Add an entry to a log; the same entry twice is there once."""
        key, at = self._keys.log(topic), _milliseconds(entry.at)
        self._write(key, "ZADD", at, f"{at} {entry.text}")
        self._call("ZREMRANGEBYSCORE", key, "-inf", int(time.time() * 1000) - self._keep_ms)

    def log(self, topic: str, since: datetime | None = None, limit: int | None = None) -> list[Entry]:
        """Read a log in the order of time, from `since` on; with `limit` only its newest entries."""
        oldest = "-inf" if since is None else _milliseconds(since)
        window = () if limit is None else ("LIMIT", 0, limit)
        members = self._call("ZREVRANGEBYSCORE", self._keys.log(topic), "+inf", oldest, *window)
        return [_entry(member.decode()) for member in reversed(members)]

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    def _write(self, key: str, command: str, *args: Any) -> Any:
        """Write to a key and keep it for as long as the ledger."""
        answer = self._call(command, key, *args)
        self._call("PEXPIRE", key, self._keep_ms)
        return answer

    def _call(self, *command: Any) -> Any:
        return self._wire.call(f"queue {self._queue}: the notes beside it", *command)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _entry(member: str) -> Entry:
    at, _, text = member.partition(" ")
    return Entry(datetime.fromtimestamp(int(at) / 1000, UTC), text)
