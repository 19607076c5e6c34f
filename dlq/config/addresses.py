"""The addresses of brokers that are understood, by their scheme."""

from typing import Final

SENTINEL: Final = ("redis-sentinel://", "rediss-sentinel://")
CLUSTER: Final = ("redis-cluster://", "rediss-cluster://")
REDIS: Final = ("redis://", "rediss://", *SENTINEL, *CLUSTER, "unix://")
RABBIT: Final = ("amqp://", "amqps://")
