"""Steps on a queue: look at it, move messages wave by wave, find out what became of them, take them back.

Each step opens the queue, calls the domain and closes it. A run keeps its lock between steps: the next step of the
same run takes it over, everybody else is refused until it expires.
"""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect import get_run_logger
from pydantic import BaseModel, ConfigDict

from dlq import samples
from dlq.assess import Assessment, assess
from dlq.opening import open_notebook, open_queue
from dlq.preview import Preview, preview
from dlq.rollback import Undone, roll_back
from dlq.run import Run, find_run, start
from dlq.settings import load_settings
from dlq.stop import StopRequest, asked
from tasks.job import Job
from tasks.retries import step

if TYPE_CHECKING:
    from dlq.story import Story

RUNNING = "running"


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


@step("queue-names")
def queue_names(queue: str) -> list[str]:
    """Give the names that are meant: all configured ones for `all`, else the one; UnknownQueueError lists them."""
    settings = load_settings()
    if queue == "all" and "all" not in settings.queues:
        return list(settings.queues)
    return [settings.queue(queue).name]


@step("assess", "assess {queue}")
def assess_queue(queue: str) -> Assessment:
    """Read a DLQ once and change nothing; what was seen of its depth is kept as a sample."""
    settings = load_settings()
    with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
        samples.take(broker, notebook, config)
        growth = samples.growth_per_minute(samples.recent(notebook))
        found = assess(broker, config, growth_per_minute=growth)
    get_run_logger().info(
        "%s: %d messages, %d signatures, severity %s", queue, found.depth, len(found.signatures), found.severity
    )
    return found


@step("begin")
def begin_run(job: Job) -> Standing:
    """Begin a run, or find out how far an earlier attempt of it came."""
    with open_queue(load_settings(), job.queue) as (broker, config):
        record = broker.run(job.run_id)
        if record is None or record.state == RUNNING:
            record = start(broker, config, job.request(), job.run_id).record
    get_run_logger().info("ledger run %s: %s, %d selected so far", job.run_id, record.state, record.selected)
    return Standing(state=record.state, wave=record.wave, selected=record.selected, depth=record.depth)


@step("wave", "wave {number}")
def drain_wave(job: Job, number: int, budget: int) -> WaveDone:
    """Do wave `number` of a run, up to `budget` messages; what the ledger has of it already is not done again.

    When somebody has asked the run to stop, nothing is done and the run is at its end.
    """
    if (request := _stop_asked(job)) is not None:
        get_run_logger().info("%s", request.note)
        return WaveDone(number=number, at=request.at, scanned=0, selected=0, refused=0, ended=True, depth=0)
    with open_queue(load_settings(), job.queue) as (broker, config):
        run = start(broker, config, job.request(), job.run_id)
        wave = run.wave(number, budget)
        depth = run.record.depth
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


@step("pause", "pause {seconds} s")
def pause_run(job: Job, seconds: float) -> None:
    """Wait between two waves and keep the lock meanwhile."""
    settings = load_settings()
    with open_queue(settings, job.queue) as (broker, config):
        _wait(start(broker, config, job.request(), job.run_id), seconds, settings.lock_seconds / 3)


@step("finish")
def finish_run(job: Job, note: str = "") -> Standing:
    """Bring kept messages back into order, close the run in the ledger and give the queue back."""
    with open_queue(load_settings(), job.queue) as (broker, config):
        record = find_run(broker, job.run_id)
        if record.state == RUNNING:
            request = _stop_asked(job)
            said = request.note if request else note
            record = start(broker, config, job.request(), job.run_id).finish("done", said)
    return Standing(state=record.state, wave=record.wave, selected=record.selected, depth=record.depth)


@step("grace", "grace {seconds} s")
def give_grace(seconds: float) -> None:
    """Wait until the workers have had time to fail or to succeed."""
    time.sleep(seconds)


@step("preview")
def preview_run(job: Job) -> Preview:
    """Count what a run would select, without a lock and without a write."""
    with open_queue(load_settings(), job.queue) as (broker, config):
        return preview(broker, config, job.request())


@step("verify", "verify {run_id}")
def verify_run(queue: str, run_id: str) -> "Story":
    """Look where the messages of a run are now, and tell it with the run's course."""
    from dlq.story import Story  # noqa: PLC0415 - pandas and matplotlib take a second or two to import

    with open_queue(load_settings(), queue) as (broker, config):
        story = Story.of(broker, config, run_id)
    get_run_logger().info("%s", story.outcome.conservation)
    return story


@step("withdraw", "roll back {run_id}")
def withdraw_run(queue: str, run_id: str, who: str, reason: str, rollback_id: str) -> Undone:
    """Take back what a run moved and nobody has taken yet."""
    with open_queue(load_settings(), queue) as (broker, config):
        done = broker.run(rollback_id)
        if done is not None and done.state != RUNNING:  # an earlier attempt of this flow run did it
            return Undone(
                rollback_id,
                run_id,
                done.redriven,
                int(done.facts.get("out_of_reach", "0")),
                int(done.facts.get("again", "0")),
            )
        undone = roll_back(broker, config, run_id, who, reason, rollback_id=rollback_id)
    get_run_logger().info("%d put back, %d out of reach", undone.withdrawn, undone.out_of_reach)
    return undone


@step("note")
def note_run(queue: str, run_id: str, facts: dict[str, str]) -> None:
    """Write facts about a run, such as where its report lies, into the ledger."""
    with open_queue(load_settings(), queue) as (broker, _):
        broker.annotate(run_id, facts)


def _stop_asked(job: Job) -> StopRequest | None:
    with open_notebook(load_settings(), job.queue) as notebook:
        return asked(notebook, job.run_id)


def _wait(run: Run, seconds: float, slice_seconds: float) -> None:
    """Sleep in slices and renew the lock after each."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, slice_seconds))
        run.renew()
