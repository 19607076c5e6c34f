"""What a person has without dlq-drain: the runbook's two drains in Lua, and a bare loop that reads.

The scripts do what the runbook's chapter 4 does, without its sleeps and by EVALSHA, not a redis-cli each.
"""

from __future__ import annotations

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

BATCH = 100  # messages a call, as in the runbook

_GRADUAL = """
local moved = 0
while moved < tonumber(ARGV[1]) do
  local raw = redis.call('RPOP', KEYS[1])
  if not raw then break end
  redis.call('LPUSH', KEYS[2], raw)
  moved = moved + 1
end
return moved
"""

_SELECTIVE = """
local moved = 0
for _, raw in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if cjson.decode(raw).type == ARGV[1] then
    redis.call('LREM', KEYS[1], 1, raw)
    redis.call('LPUSH', KEYS[2], raw)
    moved = moved + 1
  end
end
return moved
"""


def connect(url: str) -> redis.Redis:
    """Connect without a time limit and without retries: the selective script takes minutes, and must run once."""
    return redis.Redis.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))


def gradual(client: redis.Redis, source: str, target: str) -> int:
    """Drain a list in batches, one call after the other; return how many messages were moved."""
    sha = client.script_load(_GRADUAL)
    total = 0
    while moved := int(client.evalsha(sha, 2, source, target, BATCH)):
        total += moved
    return total


def selective(client: redis.Redis, source: str, target: str, kind: str) -> int:
    """Drain the messages of one type in a single call; return how many were moved."""
    return int(client.evalsha(client.script_load(_SELECTIVE), 2, source, target, kind))


def read_all(client: redis.Redis, key: str, chunk: int = 1000) -> int:
    """Read and decode a list by LRANGE and orjson, nothing else; return how many messages it had."""
    total = 0
    while raws := client.lrange(key, -(total + chunk), -(total + 1)):
        for raw in raws:
            orjson.loads(raw)
        total += len(raws)
    return total
