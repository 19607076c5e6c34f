"""Steps that drop messages into an archive, and put an archive back."""

from prefect import get_run_logger
from pydantic import BaseModel, ConfigDict

from dlq.brokers.opening import open_queue
from dlq.config.settings import load_settings
from dlq.engine import archive
from dlq.engine.discard import discard
from dlq.engine.restore import Restored, restore
from tasks.job import Job
from tasks.retries import step


class Dropped(BaseModel):
    """What a discard did. Counts are messages."""

    model_config = ConfigDict(frozen=True)

    archive: str
    archived: int
    dropped: int


@step("discard")
def discard_into_archive(job: Job) -> Dropped:
    """Archive what the job selects, read it back, and drop it; called again it goes on where it stopped."""
    settings = load_settings()
    with open_queue(settings, job.queue) as (broker, config):
        written, record = discard(broker, config, job.request(config), job.run_id, settings.archives_place)
        broker.annotate(job.run_id, {"archive": written.address})
    get_run_logger().info("%d dropped; %d are in %s", record.dropped, written.messages, written.address)
    return Dropped(archive=written.address, archived=written.messages, dropped=record.dropped)


@step("restore")
def restore_archive(address: str, who: str, reason: str) -> Restored:
    """Put an archive back into the DLQ that it is from; each message once."""
    settings = load_settings()
    with open_queue(settings, archive.origin_of(address).queue) as (broker, config):
        found = restore(broker, config, address, who, reason)
    get_run_logger().info("%d put back, %d before", found.restored, found.before)
    return found
