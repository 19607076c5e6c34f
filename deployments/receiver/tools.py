"""What the routes of one receiver share."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request

from deployments.receiver.answers import NotNowError
from deployments.receiver.counters import Counters
from deployments.receiver.notebooks import Notebooks
from deployments.receiver.starting import Prefect, Seen
from dlq.config.settings import Settings

T = TypeVar("T")

WHO = "alertmanager"
"""Who tells what alerts say, in timelines."""
LOG = logging.getLogger("dlq.receiver")
_WAIT = 12.0  # seconds for the posts before one with resolved alerts
_FRESH = 1.0  # seconds for which the look of a flow run is believed


@dataclass(slots=True)
class Receiver:
    """Settings, connections and counters of one receiver."""

    settings: Settings
    prefect: Prefect
    notebooks: Notebooks
    counters: Counters = field(default_factory=Counters)
    clock: Callable[[], float] = time.monotonic
    _looks: dict[UUID, tuple[float, Seen | None]] = field(default_factory=dict)
    _firing: defaultdict[str, set[asyncio.Future[None]]] = field(default_factory=lambda: defaultdict(set))
    _resolved: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _under_way: dict[Hashable, asyncio.Task[Any]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @contextmanager
    def firing(self, queue: str) -> Iterator[None]:
        """Work on firing alerts of a queue, beside other posts."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._firing[queue].add(ended)
        try:
            yield
        finally:
            self._firing[queue].remove(ended)
            ended.set_result(None)

    @asynccontextmanager
    async def resolved(self, queue: str) -> AsyncIterator[None]:
        """Work on resolved alerts of a queue, after the posts before it: it may be they that fired.

        One post at a time: of the last two alerts of an incident one must see that it is the last. Between several
        receivers nobody does that; then the incident goes on to its end.
        """
        try:
            async with asyncio.timeout(_WAIT):
                if before := list(self._firing[queue]):
                    await asyncio.wait(before)  # gather would cancel them when it is given up
                await self._resolved[queue].acquire()
        except TimeoutError as exc:
            raise NotNowError(f"queue {queue}: other alerts are being worked on; send this again.") from exc
        try:
            yield
        finally:
            self._resolved[queue].release()

    async def look(self, flow_run: UUID) -> Seen | None:
        """Look how a flow run is; a look is good for a second from when it was asked for, and a storm shares it.

        The next one is asked for before that second is over, so that few posts wait for Prefect.
        """
        asked, seen = self._looks.get(flow_run, (None, None))
        age = _FRESH if asked is None else self.clock() - asked
        if age >= _FRESH:
            return await self.together(("look", flow_run), lambda: self._look(flow_run))
        if age >= _FRESH / 2:
            self._begin(("look", flow_run), lambda: self._look(flow_run))
        return seen

    async def together(self, what: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something once for all requests that want it at the same time: each gets the result, or the error.

        It goes on when the request that began it is given up.
        """
        done: T = await asyncio.shield(self._begin(what, work))
        return done

    def later(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something after the answer."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Finish what was to be done later, and let go of the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        self.notebooks.close()

    async def _look(self, flow_run: UUID) -> Seen | None:
        asked = self.clock()
        seen = await self.prefect.look(flow_run)
        self._looks = {run: look for run, look in self._looks.items() if asked - look[0] < _FRESH}
        self._looks[flow_run] = (asked, seen)
        return seen

    def _begin(self, what: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Begin something unless it is under way."""
        task: asyncio.Task[T] | None = self._under_way.get(what)
        if task is None:
            task = self._under_way[what] = self.later(work())
            task.add_done_callback(lambda ended: self._ended(what, ended))
        return task

    def _ended(self, what: Hashable, task: asyncio.Task[Any]) -> None:
        del self._under_way[what]
        if not task.cancelled():
            task.exception()  # seen: whoever waited for it has it, and perhaps nobody did


def _receiver(request: Request) -> Receiver:
    found: Receiver = request.app.state.receiver
    return found


Tools = Annotated[Receiver, Depends(_receiver)]
