"""Undo what a run did to the systems around its queue: the one call for the end of an incident and for a rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.actions import concurrency, scale
from dlq.actions.book import Action, Book, State
from dlq.brokers.opening import open_notebook, open_run
from dlq.errors import ConfigError, DlqError
from dlq.systems.cluster.connection import Cluster
from dlq.systems.workers_api import WorkersApi

if TYPE_CHECKING:
    from dlq.config.settings import QueueConfig, Settings
    from dlq.records.notebook import Notebook


def undo_actions(settings: Settings, notebook: Notebook, config: QueueConfig, run_id: str, who: str) -> list[Action]:
    """Undo the actions of a run, the newest first; each is given back with its new state.

    What somebody else has changed since is left alone. What fails stays as it was, with the reason in its note: the
    same call again goes on there. A quarantine has a ledger run of its own: `dlq rollback` takes that back.
    """
    book = Book(notebook, run_id, who)
    return [_undo(settings, book, config, action) for action in reversed(book.actions())]


def queue_of(settings: Settings, run_id: str) -> QueueConfig:
    """Find the queue in whose notebook a run has actions; a run that only acted has no ledger."""
    for name in sorted(settings.queues, key=lambda name: not run_id.startswith(f"{name}-")):
        with open_notebook(settings, name) as notebook:
            if Book(notebook, run_id).actions():
                return settings.queue(name)
    with open_run(settings, run_id) as (_, config, _record):
        return config


def _undo(settings: Settings, book: Book, config: QueueConfig, action: Action) -> Action:
    if action.state not in (State.INTENDED, State.DONE):
        return action
    try:
        if action.kind in scale.KINDS:
            return _undo_scale(settings, book, config, action)
        if action.kind == concurrency.CONCURRENCY:
            return _undo_concurrency(settings, book, action)
    except DlqError as exc:
        return book.settle(action, action.state, f"not undone: {exc.detail}")
    return action


def _undo_scale(settings: Settings, book: Book, config: QueueConfig, action: Action) -> Action:
    cluster = Cluster.of(settings)
    if cluster is None:
        raise ConfigError("Kubernetes is not configured here")
    try:
        if action.kind != scale.STOP:
            return scale.put_back(cluster, book, action)
        started = scale.start_workers(cluster, book, action.target, config.scale_from, settings.scale_wait)
        return started or action
    finally:
        cluster.close()


def _undo_concurrency(settings: Settings, book: Book, action: Action) -> Action:
    api = WorkersApi.of(settings)
    if api is None:
        raise ConfigError("the workers' API is not configured here")
    try:
        return concurrency.put_concurrency_back(api, book, action)
    finally:
        api.close()
