"""The steps of the loop on a queue: begin a run, do a wave, see what becomes of it, close the run.

Each step opens the queue, asks the loop and closes the queue. A run keeps its lock between steps: the next step of the
same run takes it over, everybody else is refused until it expires. What the loop remembers lies in the notebook, so
each step can be done again, by any process, and goes on.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect import get_run_logger
from pydantic import BaseModel, ConfigDict

from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.engine.run import find_run, start
from dlq.pacing.loop import Loop, Step
from dlq.pacing.pace import Pace
from dlq.pacing.undoing import withdraw_tripped
from dlq.pacing.windows import Action
from dlq.records.ledger import RUNNING
from tasks.job import Job
from tasks.retries import step

_SLICE = 5.0  # seconds between two renewals of the lock while nothing is moved


class Standing(BaseModel):
    """Where a run stands: its state and last wave in the ledger. Counts are messages."""

    model_config = ConfigDict(frozen=True)

    state: str
    wave: int
    selected: int
    depth: int

    @property
    def running(self) -> bool:
        """Say whether there may be more to do."""
        return self.state == RUNNING


class NextStep(BaseModel):
    """What the loop says is next: a wave, or the end in a state with a note."""

    model_config = ConfigDict(frozen=True)

    moves: bool
    number: int
    budget: int
    state: str
    why: str

    def step(self) -> Step:
        """Give the domain's own form."""
        action = Action.WAVE if self.moves else Action.TRIP if self.state == "tripped" else Action.DONE
        return Step(action, self.number, self.budget, why=self.why)


class WaveDone(BaseModel):
    """What a wave did. Counts are messages; `depth` is the DLQ's after it."""

    model_config = ConfigDict(frozen=True)

    number: int
    at: datetime
    scanned: int
    selected: int
    refused: int
    ended: bool
    depth: int


@step("begin")
def begin_run(job: Job) -> Standing:
    """Begin a run, or find out how far an earlier attempt of it came."""
    with open_queue(load_settings(), job.queue) as (broker, config):
        record = broker.run(job.run_id)
        if record is None or record.running:
            record = start(broker, config, job.request(config), job.run_id).record
    get_run_logger().info("ledger run %s: %s, %d selected so far", job.run_id, record.state, record.selected)
    return Standing(state=record.state, wave=record.wave, selected=record.selected, depth=record.depth)


@step("first-wave", "look before the first wave")
def first_step(job: Job) -> NextStep:
    """Ask the loop what to do first; after a retry that is to go on with the wave in hand."""
    return _wait_for_next(job)


@step("wave", "wave {number}")
def drain_wave(job: Job, number: int, budget: int) -> WaveDone:
    """Do wave `number` of a run, up to `budget` messages; what the ledger has of it already is not done again."""
    with _loop(job) as loop:
        wave = loop.wave(Step(Action.WAVE, number, budget))
        depth = loop.run.record.depth
    get_run_logger().info(
        "wave %d: %d selected of %d scanned, DLQ depth %d", number, wave.selected, wave.scanned, depth
    )
    return WaveDone(
        number=number,
        at=datetime.now(UTC),
        scanned=wave.scanned,
        selected=wave.selected,
        refused=wave.refused,
        ended=wave.ended,
        depth=depth,
    )


@step("outcome", "outcome of wave {number}")
def watch_wave(job: Job, number: int) -> NextStep:
    """Look at what becomes of the waves so far, until the next one may go or the run is at its end."""
    following = _wait_for_next(job)
    goes_on = f"wave {following.number} with {following.budget} messages" if following.moves else following.state
    get_run_logger().info("after wave %d: %s %s", number, goes_on, following.why)
    return following


@step("finish")
def finish_run(job: Job, last: NextStep | None = None) -> Standing:
    """Bring kept messages into order, close the run and give the queue back; take it back if its breaker asks so."""
    with open_queue(load_settings(), job.queue) as (broker, config):
        record = find_run(broker, job.run_id)
    if record.running:
        with _loop(job) as loop:
            record = loop.finish(last.step() if last else Step(Action.DONE))
    with open_queue(load_settings(), job.queue) as (broker, config):
        undone = withdraw_tripped(broker, config, record)
        record = find_run(broker, job.run_id)
    if undone:
        get_run_logger().info("%d put back, %d out of reach", undone.withdrawn, undone.out_of_reach)
    return Standing(state=record.state, wave=record.wave, selected=record.selected, depth=record.depth)


@contextmanager
def _loop(job: Job) -> Iterator[Loop]:
    """Open the loop of a run that has begun, with the pace that its ledger has."""
    settings = load_settings()
    with open_queue(settings, job.queue) as (broker, config), open_notebook(settings, job.queue) as notebook:
        run = start(broker, config, job.request(config), job.run_id)
        yield Loop(run, notebook, Pace.from_parameters(run.record.parameters.get("pace", {})))


def _wait_for_next(job: Job) -> NextStep:
    """Ask the loop, and wait as long as it says, without losing the lock."""
    with _loop(job) as loop:
        while (following := loop.next()).action is Action.WAIT:
            time.sleep(min(following.seconds, _SLICE))
            loop.run.renew()
    return NextStep(
        moves=following.action is Action.WAVE,
        number=following.number,
        budget=following.budget,
        state=following.state,
        why=following.why,
    )
