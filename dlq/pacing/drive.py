"""Drive a run to its end from one process: wave after wave as its loop says, across lost connections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.errors import BrokerUnreachableError, DlqError
from dlq.pacing.loop import Loop
from dlq.pacing.windows import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import DeadLetterQueue
    from dlq.engine.run import Run
    from dlq.engine.sift import Wave
    from dlq.pacing.pace import Pace
    from dlq.records.ledger import RunRecord
    from dlq.records.notebook import Notebook

_SLICE = 5.0  # seconds between two renewals of the lock while nothing is moved
_TRIES = 6


def drive(
    open_run: Callable[[], Run],
    pace: Pace,
    sleep: Callable[[float], None],
    on_wave: Callable[[Run, Wave], None],
    notebook: Notebook | None = None,
    clock: Callable[[], float] = time.time,
) -> RunRecord:
    """Run waves until the loop says that it is enough; return the finished run. Six lost connections in a row end it.

    `open_run` begins the run, and goes on with it when it is called again: after a lost connection, with what the
    ledger has. `sleep` waits for seconds, `clock` gives the time in epoch seconds. Without a notebook nobody else can
    go on with what the loop remembers.
    """
    failures, pages = 0, notebook or MemoryNotebook()

    def moved(run: Run, wave: Wave) -> None:
        nonlocal failures
        failures = 0 if wave.scanned else failures
        on_wave(run, wave)

    while True:
        try:
            return _through(Loop(open_run(), pages, pace, clock), sleep, moved)
        except BrokerUnreachableError:
            failures += 1
            if failures == _TRIES:
                raise
            sleep(0.25 * 2**failures)


def _through(loop: Loop, sleep: Callable[[float], None], on_wave: Callable[[Run, Wave], None]) -> RunRecord:
    try:
        return _waves(loop, sleep, on_wave)
    except BrokerUnreachableError:
        loop.run.queue.close()  # all that hangs on the lost connection: the ledger knows how far the run is
        raise
    except (DlqError, KeyboardInterrupt) as exc:
        loop.run.abandon(str(exc) or "interrupted")
        raise


def _waves(loop: Loop, sleep: Callable[[float], None], on_wave: Callable[[Run, Wave], None]) -> RunRecord:
    while True:
        step = loop.next()
        if step.action is Action.WAVE:
            on_wave(loop.run, loop.wave(step))
        elif step.action is Action.WAIT:
            rest(step.seconds, loop.run.renew, sleep)
        else:
            return loop.finish(step)


def rest(seconds: float, renew: Callable[[], None], sleep: Callable[[float], None]) -> None:
    """Wait between waves without losing the lock."""
    while seconds > 0:
        sleep(min(seconds, _SLICE))
        seconds -= _SLICE
        renew()


def settle(queue: DeadLetterQueue, limit: float, grace: float, sleep: Callable[[float], None]) -> None:
    """Wait until the live queue is empty or no longer falls, `limit` seconds at most, then for the grace time."""
    waited, step, patience = 0.0, 0.5, 0
    depth = queue.depth(Place.LIVE)
    while depth and waited < limit and patience < 4:  # noqa: PLR2004 - two seconds without a change
        sleep(step)
        waited += step
        now = queue.depth(Place.LIVE)
        patience = 0 if now < depth else patience + 1
        depth = now
    if not depth:
        sleep(min(grace, limit))
