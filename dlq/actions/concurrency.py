"""Raise the concurrency of the workers by their own API, and put the value back that it told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dlq.actions.book import Action, Book, State

if TYPE_CHECKING:
    from dlq.systems.workers_api import WorkersApi

CONCURRENCY = "concurrency"


def raise_concurrency(api: WorkersApi, book: Book, count: int) -> Action | None:
    """See to a concurrency of at least `count`; None when it is that high already."""
    action = book.find(CONCURRENCY)
    if action is None:
        before = api.concurrency()
        if before is not None and before >= count:
            return None
        action = book.intend(CONCURRENCY, CONCURRENCY, "workers", before, count)
    if action.state is not State.INTENDED:
        return action
    told = api.set_concurrency(action.after)
    if action.before is None and told is not None and told != action.after:
        action = replace(action, before=told)
    return book.settle(
        action, State.DONE, "" if action.before is not None else "the API does not tell the value before"
    )


def put_concurrency_back(api: WorkersApi, book: Book, action: Action) -> Action:
    """Put the value from before back, unless nobody knows it or somebody else has changed it since."""
    if action.state not in (State.INTENDED, State.DONE):
        return action
    if action.before is None:
        return book.settle(action, State.LEFT, "the value from before is not known")
    now = api.concurrency()
    if now is not None and now not in (action.after, action.before):
        return book.settle(action, State.LEFT, f"somebody set {now} since")
    api.set_concurrency(action.before)
    return book.settle(action, State.UNDONE, f"{action.before} again")
