"""What the routes of one receiver share."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request

from deployments.receiver.answers import NotNowError
from deployments.receiver.counters import Counters
from deployments.receiver.notebooks import Notebooks
from deployments.receiver.starting import Prefect, Seen
from dlq.config.settings import Settings

WHO = "alertmanager"
"""Who tells what alerts say, in timelines."""
LOG = logging.getLogger("dlq.receiver")
_WAIT = 12.0  # seconds for a queue that other posts are working on
_FRESH = 1.0  # seconds for which the look of a flow run is believed


@dataclass(slots=True)
class Receiver:
    """Settings, connections and counters of one receiver."""

    settings: Settings
    prefect: Prefect
    notebooks: Notebooks
    counters: Counters = field(default_factory=Counters)
    _locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _looks: dict[UUID, tuple[float, Seen | None]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @asynccontextmanager
    async def alone(self, queue: str) -> AsyncIterator[None]:
        """Work on a queue alone, as far as this process goes; the notebook keeps several receivers apart."""
        lock = self._locks[queue]
        try:
            async with asyncio.timeout(_WAIT):
                await lock.acquire()
        except TimeoutError as exc:
            raise NotNowError(f"queue {queue}: other alerts are being worked on; send this again.") from exc
        try:
            yield
        finally:
            lock.release()

    async def look(self, flow_run: UUID) -> Seen | None:
        """Look how a flow run is; for a moment the same answer serves a whole storm."""
        at, seen = self._looks.get(flow_run, (0.0, None))
        if not at or time.monotonic() - at > _FRESH:
            seen = await self.prefect.look(flow_run)
            self._looks = {flow_run: (time.monotonic(), seen)}
        return seen

    def later(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something after the answer."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish what was to be done later, and let go of the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        self.notebooks.close()


def _receiver(request: Request) -> Receiver:
    found: Receiver = request.app.state.receiver
    return found


Tools = Annotated[Receiver, Depends(_receiver)]
