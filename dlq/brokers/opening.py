"""Open a queue by its name, with the adapter that its address asks for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dlq.brokers.cluster_server import ClusterServer
from dlq.brokers.cluster_wire import ClusterWire, in_one_slot
from dlq.brokers.redis_address import Seeds
from dlq.brokers.redis_cluster import RedisClusterQueue
from dlq.brokers.redis_list import RedisListQueue
from dlq.brokers.redis_notebook import RedisNotebook
from dlq.brokers.redis_server import RedisServer
from dlq.brokers.redis_wire import RABBIT_SCRIPTS, SCRIPTS, Wire
from dlq.config import addresses
from dlq.errors import RunNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue
    from dlq.brokers.server import BrokerServer
    from dlq.config.settings import QueueConfig, Settings
    from dlq.records.ledger import RunRecord
    from dlq.records.notebook import Notebook


@contextmanager
def open_queue(settings: Settings, name: str) -> Iterator[tuple[DeadLetterQueue, QueueConfig]]:
    """Open queue `name`; the connection is made by the first call and closed at the end."""
    config = settings.queue(name)
    queue = _queue(settings, config)
    try:
        yield queue, config
    finally:
        queue.close()


@contextmanager
def open_run(settings: Settings, run_id: str) -> Iterator[tuple[DeadLetterQueue, QueueConfig, RunRecord]]:
    """Open the queue whose ledger has a run, or raise RunNotFoundError."""
    # A run's name begins with its queue's; looking there first saves a connection for each other queue.
    for name in sorted(settings.queues, key=lambda name: not run_id.startswith(f"{name}-")):
        with open_queue(settings, name) as (queue, config):
            record = queue.run(run_id)
            if record is not None:
                yield queue, config, record
                return
    raise RunNotFoundError(run=run_id)


@contextmanager
def open_notebook(settings: Settings, name: str) -> Iterator[Notebook]:
    """Open the notebook of queue `name`, which lies where its ledger lies."""
    config = settings.queue(name)
    notebook = RedisNotebook(config.name, config.dlq, _wire(settings), keep_days=settings.ledger_days)
    try:
        yield notebook
    finally:
        notebook.close()


@contextmanager
def open_server(settings: Settings, name: str) -> Iterator[BrokerServer]:
    """Open the server that has queue `name`, to ask it about itself."""
    server = _server(settings, settings.queue(name))
    try:
        yield server
    finally:
        server.close()


def _queue(settings: Settings, config: QueueConfig) -> DeadLetterQueue:
    said: dict[str, Any] = {"lock_seconds": settings.lock_seconds, "ledger_days": settings.ledger_days}
    broker = settings.broker.get_secret_value()
    if broker.startswith(addresses.RABBIT):
        from dlq.brokers.rabbit_queue import RabbitQueue  # noqa: PLC0415 - most have no RabbitMQ

        return RabbitQueue(config, broker, _wire(settings), **said)
    wire = _wire(settings)
    if isinstance(wire, ClusterWire) and not in_one_slot(config.dlq, config.live, config.quarantine):
        return RedisClusterQueue(config, wire, replicas=settings.wait_replicas, **said)
    return RedisListQueue(config, wire, **said)


def _server(settings: Settings, config: QueueConfig) -> BrokerServer:
    broker = settings.broker.get_secret_value()
    if broker.startswith(addresses.RABBIT):
        from dlq.brokers.rabbit_server import RabbitServer  # noqa: PLC0415 - most have no RabbitMQ
        from dlq.brokers.rabbit_wire import RabbitWire  # noqa: PLC0415

        return RabbitServer(RabbitWire(broker), config.live)
    wire = _wire(settings)
    return ClusterServer(wire) if isinstance(wire, ClusterWire) else RedisServer(wire)


def _wire(settings: Settings) -> ClusterWire | Wire:
    """Lead to the Redis of the ledger, and of the queues where they are in Redis too."""
    rabbit = settings.broker.get_secret_value().startswith(addresses.RABBIT)
    url = (settings.redis_url if rabbit else settings.broker).get_secret_value()
    if url.startswith(addresses.CLUSTER):
        return ClusterWire(Seeds.of(url))
    return Wire(url, scripts=SCRIPTS + RABBIT_SCRIPTS if rabbit else SCRIPTS)
