"""A master of the cluster is killed in the middle of a drain, and its replica takes over."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from redis.cluster import RedisCluster
from redis.crc import key_slot

from dlq.brokers.base import Place
from dlq.brokers.cluster_wire import ClusterWire
from dlq.brokers.redis_address import Seeds
from dlq.brokers.redis_cluster import RedisClusterQueue
from dlq.config.queues import QueueConfig
from dlq.embedded.cluster import ask, until
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind, Request, Run, start
from dlq.engine.sift import Wave
from dlq.errors import BrokerUnreachableError
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace
from tests.clusters import TestCluster
from tests.servers import find_redis_server, missing

CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
COUNT = 6_000
PACE = Pace.unpaced()


@pytest.fixture
def cluster() -> Iterator[TestCluster]:
    """Start a cluster of the test's own."""
    if find_redis_server() is None:
        missing("redis-server")
    with TestCluster() as cluster:
        yield cluster


@pytest.mark.parametrize("place", [Place.DLQ, Place.LIVE])
def test_a_master_that_is_killed_costs_no_message(cluster: TestCluster, place: Place) -> None:
    """Each step waits for the replica: what was acknowledged outlives the master, once."""
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    messages = [b'{"type":"webhook","id":"m%d"}' % number for number in range(COUNT)]
    client.lpush(CONFIG.dlq, *messages)
    key = CONFIG.dlq if place is Place.DLQ else CONFIG.live
    slot = key_slot(key.encode())
    master = cluster.owner(slot)
    with master_client(client, CONFIG.dlq) as node:
        node.execute_command("WAIT", 1, 5_000)
    queue = RedisClusterQueue(CONFIG, ClusterWire(Seeds.of(cluster.url), timeout=5), replicas=1)
    killed: list[int] = []

    def kill(run: Run, wave: Wave) -> None:
        if wave.number == 2:
            killed.append(run.record.selected)
            os.kill(master.pid, signal.SIGKILL)

    def rest(seconds: float) -> None:
        time.sleep(seconds)
        if killed and not master.running and cluster.owner(slot).port != master.port:
            master.start()  # as a replica of the one that took over, which had nobody to wait for

    request = Request(Kind.DRAIN, "chaos", selector=Selector(corrupted=None), limit=None)
    record = drive(lambda: start(queue, CONFIG, request, "r1"), Pace(PACE.mode, 500, 0.0, 0), rest, kill)
    assert killed
    assert (record.state, record.selected) == ("done", COUNT)
    found = queue.read(Place.LIVE, 0, COUNT * 2).result()
    assert Counter(found) == Counter(messages)
    assert queue.depth(Place.DLQ) == 0
    queue.close()
    client.close()


def test_what_is_dropped_and_put_back_waits_for_the_replica(cluster: TestCluster) -> None:
    """While the replica of the DLQ's slot is gone neither is called done; repeated when it is back, each is once."""
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    messages = [b'{"type":"webhook","id":"m%d"}' % number for number in range(20)]
    client.lpush(CONFIG.dlq, *messages)
    replica = cluster.nodes[3 + cluster.nodes.index(cluster.owner(key_slot(CONFIG.dlq.encode())))]
    queue = RedisClusterQueue(CONFIG, ClusterWire(Seeds.of(cluster.url), timeout=2), replicas=1)
    request = Request(Kind.DISCARD, "chaos", selector=Selector(types=("webhook",)))

    def discard() -> None:
        run = start(queue, CONFIG, request, "d1")
        run.wave(1)
        run.finish()

    for work in (discard, lambda: roll_back(queue, CONFIG, "d1", "chaos")):
        replica.stop()
        with pytest.raises(BrokerUnreachableError, match="replica"):
            work()
        queue.close()
        client.delete(f"dlq-drain:{{{CONFIG.dlq}}}:lock")
        replica.start()
        until(lambda: b"state=online" in info(cluster, CONFIG.dlq))
        work()
    assert Counter(queue.read(Place.DLQ, 0, 100).result()) == Counter(messages)
    record = queue.run("d1")
    assert record is not None
    assert (record.dropped, record.rolled_back) == (20, 20)
    queue.close()
    client.close()


def info(cluster: TestCluster, key: str) -> bytes:
    """Ask the master of a key about its replicas."""
    said: bytes = ask(cluster.owner(key_slot(key.encode())), "INFO", "replication")
    return said


def master_client(client: RedisCluster, key: str) -> redis.Redis:
    """Give the client of the node that has a key."""
    return client.get_redis_connection(client.get_node_from_key(key))
