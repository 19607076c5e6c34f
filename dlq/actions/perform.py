"""Take a planned action on the systems around a queue: scale, or raise the concurrency."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dlq.actions.book import Action, Book, State
from dlq.actions.concurrency import CONCURRENCY, raise_concurrency
from dlq.actions.plan import Kind, Planned
from dlq.actions.scale import SCALE, scale_up, start_workers, stop_workers
from dlq.errors import ConfigError
from dlq.systems.cluster import connection
from dlq.systems.cluster.connection import Cluster
from dlq.systems.workers_api import NOT_CONFIGURED, WorkersApi

if TYPE_CHECKING:
    from dlq.config.settings import QueueConfig, Settings
    from dlq.records.notebook import Notebook

NOT_NEEDED = "not needed: it is that high already"


def perform(settings: Settings, notebook: Notebook, run_id: str, planned: Planned, who: str) -> Action:
    """Do what was planned, once a run; a second call goes on where the first one died.

    What is not configured is an action that failed, with that note. Errors of the systems are raised.
    """
    book = Book(notebook, run_id, who)
    if planned.kind is Kind.SCALE:
        cluster = Cluster.of(settings)
        if cluster is None:
            return _not_done(book, planned, connection.NOT_CONFIGURED)
        with closing(cluster):
            action = scale_up(cluster, book, planned.target, planned.count, settings.scale_wait)
    else:
        api = WorkersApi.of(settings)
        if api is None:
            return _not_done(book, planned, NOT_CONFIGURED)
        with closing(api):
            action = raise_concurrency(api, book, planned.count)
    return action or _not_done(book, planned, NOT_NEEDED, State.DONE)


def give_up(notebook: Notebook, run_id: str, planned: Planned, who: str, why: str) -> Action:
    """Note that an action could not be taken; what may have been half done stays on its page for the undo."""
    book = Book(notebook, run_id, who)
    action = book.find(CONCURRENCY if planned.kind is Kind.CONCURRENCY else f"{SCALE}:{planned.target}")
    if action is not None:
        return book.settle(action, action.state, why)
    return _not_done(book, planned, why)


def stop(settings: Settings, notebook: Notebook, config: QueueConfig, run_id: str, who: str) -> Action:
    """Stop the workers of a queue ("stop the drain" of the rollback chapter); ConfigError where there are none."""
    with closing(_cluster(settings, config)) as cluster:
        return stop_workers(cluster, Book(notebook, run_id, who), str(config.workers), settings.scale_wait)


def start(settings: Settings, notebook: Notebook, config: QueueConfig, run_id: str, who: str) -> Action | None:
    """Start the workers again, as many as there were; None when this run has not stopped them."""
    with closing(_cluster(settings, config)) as cluster:
        book = Book(notebook, run_id, who)
        return start_workers(cluster, book, str(config.workers), config.scale_from, settings.scale_wait)


def _cluster(settings: Settings, config: QueueConfig) -> Cluster:
    if config.workers is None:
        raise ConfigError(f"queue {config.name} names no worker deployment.")
    cluster = Cluster.of(settings)
    if cluster is None:
        raise ConfigError(f"Kubernetes is {connection.NOT_CONFIGURED}.")
    return cluster


def _not_done(book: Book, planned: Planned, note: str, state: State = State.FAILED) -> Action:
    """Say what came of an action that changed nothing, without a page: there is nothing to undo."""
    return Action(
        planned.kind.value,
        planned.kind.value,
        planned.target,
        None,
        planned.count,
        datetime.now(UTC),
        book.who,
        state,
        note,
    )
