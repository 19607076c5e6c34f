"""Open a queue by its name, with the adapter that its address asks for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dlq.brokers.redis_list import RedisListQueue
from dlq.brokers.redis_notebook import RedisNotebook
from dlq.brokers.redis_server import RedisServer
from dlq.brokers.redis_wire import Wire
from dlq.errors import RunNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue
    from dlq.brokers.server import BrokerServer
    from dlq.ledger import RunRecord
    from dlq.notebook import Notebook
    from dlq.settings import QueueConfig, Settings


@contextmanager
def open_queue(settings: Settings, name: str) -> Iterator[tuple[DeadLetterQueue, QueueConfig]]:
    """Open queue `name`; the connection is made by the first call and closed at the end."""
    config = settings.queue(name)
    queue = RedisListQueue(
        config,
        settings.redis_url.get_secret_value(),
        lock_seconds=settings.lock_seconds,
        ledger_days=settings.ledger_days,
    )
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
    wire = Wire(settings.redis_url.get_secret_value())
    notebook = RedisNotebook(config.name, config.dlq, wire, keep_days=settings.ledger_days)
    try:
        yield notebook
    finally:
        notebook.close()


@contextmanager
def open_server(settings: Settings, name: str) -> Iterator[BrokerServer]:
    """Open the server that has queue `name`, to ask it about itself."""
    settings.queue(name)
    server = RedisServer(Wire(settings.redis_url.get_secret_value()))
    try:
        yield server
    finally:
        server.close()
