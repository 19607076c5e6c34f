"""Drive a run to its end from one process: wave after wave at its pace, across lost connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.errors import BrokerUnreachableError, DlqError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import DeadLetterQueue
    from dlq.ledger import RunRecord
    from dlq.pace import Pace
    from dlq.run import Run
    from dlq.sift import Wave
    from dlq.stop import StopRequest

_SLICE = 5.0  # seconds between two renewals of the lock while nothing is moved
_TRIES = 6


def _never(_run_id: str) -> None:
    """Nobody asks to stop."""


def drive(
    open_run: Callable[[], Run],
    pace: Pace,
    sleep: Callable[[float], None],
    on_wave: Callable[[Run, Wave], None],
    stop_asked: Callable[[str], StopRequest | None] = _never,
) -> RunRecord:
    """Run waves until the pass ends, the pace says enough or somebody asks to stop; return the finished run.

    `open_run` begins the run, and goes on with it when it is called again: after a lost connection, with what the
    ledger has. `sleep` waits for seconds. `stop_asked` is asked before each wave, with the run's id.
    """
    failures = 0
    while True:
        try:
            return _through(open_run(), pace, sleep, on_wave, stop_asked)
        except BrokerUnreachableError:
            failures += 1
            if failures == _TRIES:
                raise
            sleep(0.25 * 2**failures)


def _through(
    run: Run,
    pace: Pace,
    sleep: Callable[[float], None],
    on_wave: Callable[[Run, Wave], None],
    stop_asked: Callable[[str], StopRequest | None],
) -> RunRecord:
    try:
        return _waves(run, pace, sleep, on_wave, stop_asked)
    except BrokerUnreachableError:
        raise
    except (DlqError, KeyboardInterrupt) as exc:
        run.abandon(str(exc) or "interrupted")
        raise


def _waves(
    run: Run,
    pace: Pace,
    sleep: Callable[[float], None],
    on_wave: Callable[[Run, Wave], None],
    stop_asked: Callable[[str], StopRequest | None],
) -> RunRecord:
    record = run.record
    number = max(1, record.wave if record.wave_selected < pace.batch else record.wave + 1)
    while pace.more(number - 1):
        request = stop_asked(run.run_id)
        if request is not None:
            return run.finish(note=request.note)
        wave = run.wave(number, pace.batch)
        on_wave(run, wave)
        if wave.ended:
            break
        number += 1
        if pace.more(number - 1):
            rest(pace.pause, run.renew, sleep)
    return run.finish()


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
