"""Chapter 1: the initial assessment of a DLQ. It changes nothing.

Alert: HighDLQDepth (`tokpulse_dlq_depth` over 1,000), fast growth, or a daily check.
Before: nothing; the queue is read once, and the workers may go on.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG) for the queues and their thresholds.
Undo: nothing to undo.
"""

from typing import Any

from prefect import flow

from flows import parameters as p
from flows.identity import run_name
from tasks.publishing import publish_assessment
from tasks.queues import assess_queue, queue_names


@flow(name="assess", flow_run_name=run_name)
def assess(queue: p.QueueNames) -> list[dict[str, Any]]:
    """Count what lies in the DLQ, by type and signature, say how severe that is and who is called."""
    return [publish_assessment(assess_queue(name)) for name in queue_names(queue)]
