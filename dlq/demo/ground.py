"""What the demo's queues lie in: a Redis, a Redis Cluster or a RabbitMQ of the demo's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from dlq.embedded.cluster import EmbeddedCluster
from dlq.embedded.rabbit import EmbeddedRabbit, find_rabbitmq
from dlq.errors import DlqError

REDIS, CLUSTER, RABBIT = "redis", "redis-cluster", "rabbitmq"
BROKERS: Final = (REDIS, CLUSTER, RABBIT)
_ADAPTIVE: Final = 'pace = "adaptive"'
_FIXED: Final = 'pace = "fixed"\nbatch = 2000\npause = 1\nmax_batches = 0\ngrace = 5'
"""RabbitMQ cannot be looked at after each wave, and the runbook's pace would take hours for the demo's messages."""


class NoBrokerError(DlqError):
    """The demo's broker is not installed on this machine."""

    exit_status = 2
    advice = "On Debian: apt-get install rabbitmq-server. Without --broker the demo brings a Redis of its own."


@dataclass(frozen=True, slots=True)
class Ground:
    """A broker that runs: what the settings and the child processes must be told, and its process groups."""

    title: str
    pace: str = _ADAPTIVE
    said: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    watched: bool = True
    """Whether Prometheus can watch the depth: a look at RabbitMQ holds what it looks at, and the alert would end."""


@contextmanager
def standing(broker: str) -> Iterator[Ground]:
    """Run a broker of a kind for a `with` block; NoBrokerError when its program is missing.

    One Redis is not run here: it is one of the plan's services, or the user's own.
    """
    if broker == CLUSTER:
        with EmbeddedCluster() as cluster:
            groups = tuple(node.pid for node in cluster.nodes)
            yield Ground("a Redis Cluster of three nodes", said={"redis_url": cluster.url}, groups=groups)
    elif broker == RABBIT:
        if find_rabbitmq() is None:
            raise NoBrokerError("There is no rabbitmq-server for the demo.")
        with EmbeddedRabbit() as rabbit:
            said = {"broker_url": rabbit.url}
            yield Ground("a RabbitMQ", _FIXED, said, {"DLQ_BROKER_URL": rabbit.url}, rabbit.pids, watched=False)
    else:
        yield Ground("a Redis")
