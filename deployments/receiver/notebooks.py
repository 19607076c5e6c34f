"""Notebooks kept open between requests, each used by one thread at a time."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from deployments.receiver.answers import NotNowError
from dlq.brokers.opening import open_notebook
from dlq.config.settings import Settings
from dlq.errors import BrokerUnreachableError, DlqError
from dlq.records.notebook import Notebook

T = TypeVar("T")

PATIENCE = 8.0
"""Seconds for one look into a notebook: a broker that hangs must not make a request hang."""
_KEPT = 8  # idle ones a queue


@dataclass(slots=True)
class _Open:
    notebook: Notebook
    stack: ExitStack


@dataclass(slots=True)
class Notebooks:
    """The notebooks of all queues."""

    settings: Settings
    _idle: dict[str, deque[_Open]] = field(default_factory=lambda: defaultdict(deque))

    async def use(self, queue: str, work: Callable[[Notebook], T]) -> T:
        """Do some work on a queue's notebook in a thread; NotNowError when the broker does not answer."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.to_thread(self._use, queue, work)
        except TimeoutError as exc:
            raise NotNowError(f"queue {queue}: the broker did not answer within {PATIENCE:.0f} s.") from exc
        except DlqError as exc:
            raise NotNowError(str(exc)) from exc

    def close(self) -> None:
        """Close the idle ones."""
        for idle in self._idle.values():
            while idle:
                idle.pop().stack.close()

    def _use(self, queue: str, work: Callable[[Notebook], T]) -> T:
        # A thread that nobody waits for any more still gives its notebook back here, or closes it.
        try:
            held = self._idle[queue].pop()
        except IndexError:
            return self._work(queue, self._open(queue), work)
        try:
            return self._work(queue, held, work)
        except BrokerUnreachableError:  # the broker was restarted since: everything here may be done twice
            return self._work(queue, self._open(queue), work)

    def _open(self, queue: str) -> _Open:
        stack = ExitStack()
        return _Open(stack.enter_context(open_notebook(self.settings, queue)), stack)

    def _work(self, queue: str, held: _Open, work: Callable[[Notebook], T]) -> T:
        idle = self._idle[queue]
        try:
            done = work(held.notebook)
        except BaseException:
            held.stack.close()
            raise
        if len(idle) < _KEPT:
            idle.append(held)
        else:
            held.stack.close()
        return done
