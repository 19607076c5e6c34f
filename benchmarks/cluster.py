"""A drain in a Redis Cluster, whose lists lie in three slots, beside the same drain on one node."""

from __future__ import annotations

import shutil
import time
from statistics import median
from typing import TYPE_CHECKING

from redis.cluster import RedisCluster

from benchmarks import workload
from benchmarks.rows import Row, row
from dlq.brokers.cluster_wire import ClusterWire
from dlq.brokers.redis_address import Seeds
from dlq.brokers.redis_cluster import RedisClusterQueue
from dlq.brokers.redis_list import RedisListQueue
from dlq.config.queues import QueueConfig
from dlq.embedded.cluster import EmbeddedCluster
from dlq.embedded.redis import HOST
from dlq.engine.run import Kind, Request, start
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace

if TYPE_CHECKING:
    from benchmarks.measures import Bench

_CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
_FRACTION = 5  # of the large size: each of the four processes has to share two cores


def in_cluster(bench: Bench) -> list[Row]:
    """Drain everything in a cluster and on one node in turns: messages a second."""
    size = bench.large // _FRACTION
    ours, theirs = [], []
    with EmbeddedCluster(binary=shutil.which("redis-server"), durable=False) as cluster:  # as the one node is
        for _ in range(bench.times):
            bench.stock(size)
            theirs.append(_drain(RedisListQueue(_CONFIG, bench.url), size))
            with RedisCluster(host=HOST, port=cluster.nodes[0].port) as client:
                client.flushall(target_nodes=RedisCluster.PRIMARIES)
                workload.fill(client, _CONFIG.dlq, size)
            ours.append(_drain(RedisClusterQueue(_CONFIG, ClusterWire(Seeds.of(cluster.url))), size))
    rate, base = size / median(ours), size / median(theirs)
    name = f"full drain of {size:,} in a cluster, against one node"
    return [row(name, rate, "messages/s", base, "at least 0.5", ok=rate >= 0.5 * base)]


def _drain(queue: RedisListQueue | RedisClusterQueue, size: int) -> float:
    """Drain to the end; give the seconds."""
    pace = Pace.unpaced()
    request = Request(Kind.DRAIN, "benchmark", selector=Selector(corrupted=None), pace=pace.as_parameters())
    began = time.perf_counter()
    record = drive(lambda: start(queue, _CONFIG, request), pace, lambda _seconds: None, lambda _run, _wave: None)
    seconds = time.perf_counter() - began
    queue.close()
    if record.selected != size:
        raise RuntimeError(f"expected {size} messages, found {record.selected}")
    return seconds
