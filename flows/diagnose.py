"""Chapter 2: the root cause. It changes nothing.

Alert: any; after the assessment, and before anything is moved.
Before: nothing. What is not configured is left out, and said.
Settings: DLQ_KUBECONFIG or a pod's account, DLQ_PROMETHEUS_URL, DLQ_WORKERS_URL, DLQ_LOGS, DLQ_REPOSITORY; each may be
missing. `workers` of the queue in dlq.toml names its deployment.
Undo: nothing to undo.
"""

from typing import TYPE_CHECKING, Any

from prefect import flow

from dlq.engine.assess import Assessment
from flows import parameters as p
from flows.identity import ledger_id, run_name
from tasks.diagnosing import gather_facts, rank_causes
from tasks.queues import assess_queue

if TYPE_CHECKING:
    from dlq.diagnosis.facts import Facts


@flow(name="diagnose", flow_run_name=run_name)
def diagnose(queue: p.QueueName) -> dict[str, Any]:
    """Put side by side what the messages, the workers, metrics, logs and changes say, and rank the likely causes."""
    run_id = ledger_id(queue)
    facts = gather_facts(queue, assess_queue(queue))
    return rank_causes(queue, run_id, facts)


def find_cause(queue: str, run_id: str, found: Assessment) -> "Facts":
    """Do the chapter within an incident; give the facts that it stands on."""
    facts = gather_facts(queue, found)
    rank_causes(queue, run_id, facts)
    return facts
