"""Chapter 5: verify a drain, at once and again later.

Alert: none; after every drain, and whenever somebody asks what became of it.
Before: the run is in the ledger (30 days, or DLQ_LEDGER_DAYS); workers have had time to take the messages.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG) for the queues.
Undo: nothing to undo.
"""

from typing import Any

from prefect import flow

from flows import parameters as p
from flows.identity import run_name
from flows.outcome import concluded
from tasks.publishing import publish_story
from tasks.queues import give_grace, verify_run
from tasks.telling import show_verification


@flow(name="verify", flow_run_name=run_name)
def verify(queue: p.QueueName, run_id: p.RunId, grace: p.Grace = 0) -> Any:
    """Say how many messages of a run were delivered, bounced or are still pending, by signature."""
    give_grace(grace)
    story = verify_run(queue, run_id)
    show_verification(story)
    return concluded(publish_story(story))
