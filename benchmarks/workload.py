"""The messages that are measured with: 500 bytes of JSON, a quarter of one type."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis
    from redis.cluster import RedisCluster

SIZE = 500  # bytes of each message
CHOSEN = "webhook"  # the type of every fourth message
_TYPES = (CHOSEN, "invoice", "export", "email")
_ERRORS = (
    "TimeoutError: no answer from 10.0.{}.{} after {} ms",
    'KeyError: "customer-{}{}" is not in region {}',
    "HTTPError: 503 from host-{}-{}.internal, attempt {}",
    "ValueError: amount {}.{} is below the limit of {}",
)
_PUSHED_AT_ONCE = 1000


def message(number: int, rng: Random) -> bytes:
    """Make dead letter `number`; ids, error texts, times and padding differ."""
    text = rng.choice(_ERRORS).format(rng.randrange(256), rng.randrange(256), rng.randrange(100, 99_999))
    body = {
        "id": f"evt_{number:010d}_{rng.getrandbits(48):012x}",
        "type": _TYPES[number % len(_TYPES)],
        "error": text,
        "attempts": rng.randrange(3, 9),
        "failed_at": f"2026-03-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:{rng.randrange(60):02d}Z",
        "payload": {"account": rng.randrange(10**9), "note": ""},
    }
    body["payload"]["note"] = f"{rng.getrandbits(2000):x}"[: SIZE - len(orjson.dumps(body))]  # type: ignore[index]
    return orjson.dumps(body)


def messages(count: int, seed: int = 1) -> Iterator[bytes]:
    """Make `count` dead letters; the same arguments give the same bytes."""
    rng = Random(seed)
    return (message(number, rng) for number in range(count))


def fill(client: redis.Redis | RedisCluster, key: str, count: int, seed: int = 1) -> None:
    """Push dead letters to the list at `key`, oldest first; keeps no more than one call's worth in memory."""
    client.unlink(key)
    chunk: list[bytes] = []
    for raw in messages(count, seed):
        chunk.append(raw)
        if len(chunk) == _PUSHED_AT_ONCE:
            client.lpush(key, *chunk)
            chunk.clear()
    if chunk:
        client.lpush(key, *chunk)
