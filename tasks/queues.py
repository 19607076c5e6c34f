"""Steps on a queue: look at it, find out what became of a run's messages, take them back.

Each step opens the queue, calls the domain and closes it.
"""

import time
from typing import TYPE_CHECKING

from prefect import get_run_logger

from dlq.admission.past import note_outcome
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.engine.assess import Assessment, assess
from dlq.engine.preview import Preview, preview
from dlq.engine.rollback import Undone, roll_back
from dlq.pacing.watch import look_back
from dlq.summaries import first_look, samples
from dlq.summaries.success import note_success
from tasks.job import Job
from tasks.retries import step

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.queues import QueueConfig
    from dlq.records.notebook import Notebook
    from dlq.summaries.story import Story


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
        return _assessed(broker, notebook, config)


@step("assess-before", "assess {queue}")
def assess_before(queue: str, run_id: str) -> Assessment:
    """Assess a DLQ before a run; once the run has begun, give what was found then, for much has moved since."""
    settings = load_settings()
    with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
        found = first_look.kept(notebook, run_id) if broker.run(run_id) else None
        if found is None:
            found = _assessed(broker, notebook, config)
            first_look.keep(notebook, run_id, found)
    return found


def _assessed(broker: "DeadLetterQueue", notebook: "Notebook", config: "QueueConfig") -> Assessment:
    samples.take(broker, notebook, config)
    growth = samples.growth_per_minute(samples.recent(notebook))
    found = assess(broker, config, growth_per_minute=growth)
    get_run_logger().info(
        "%s: %d messages, %d signatures, severity %s", config.name, found.depth, len(found.signatures), found.severity
    )
    return found


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
    from dlq.summaries.story import Story  # noqa: PLC0415 - pandas and matplotlib take a second or two to import

    settings = load_settings()
    with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
        look_back(broker, config, run_id, notebook)
        note_success(broker, settings, queue, run_id)
        story = Story.of(broker, config, run_id)
        note_outcome(broker, notebook, story.outcome)
    get_run_logger().info("%s", story.outcome.conservation)
    return story


@step("withdraw", "roll back {run_id}")
def withdraw_run(queue: str, run_id: str, who: str, reason: str, rollback_id: str) -> Undone:
    """Take back what a run moved and nobody has taken yet."""
    with open_queue(load_settings(), queue) as (broker, config):
        done = broker.run(rollback_id)
        if done is not None and not done.running:  # an earlier attempt of this flow run did it
            return Undone(
                rollback_id,
                run_id,
                done.redriven,
                int(done.facts.get("out_of_reach", "0")),
                int(done.facts.get("again", "0")),
                done.maybe_duplicated,
            )
        undone = roll_back(broker, config, run_id, who, reason, rollback_id=rollback_id)
    get_run_logger().info("%d put back, %d out of reach", undone.withdrawn, undone.out_of_reach)
    return undone


@step("note")
def note_run(queue: str, run_id: str, facts: dict[str, str]) -> None:
    """Write facts about a run, such as where its report lies, into the ledger."""
    with open_queue(load_settings(), queue) as (broker, _):
        broker.annotate(run_id, facts)
