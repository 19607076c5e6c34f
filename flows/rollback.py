"""Rollback procedures: take back what a run moved and nobody has taken yet.

Alert: the drain made things worse: bounces, failing workers, a full live queue.
Before: stop the workers if you can, or let `stop_workers` do it; what they have taken is out of reach, and is counted.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG) for the queues; DLQ_KUBECONFIG or a pod's account for the workers.
Undo: drain again; the messages are back in the DLQ with their original bytes, in their original order.
"""

from typing import Any

from prefect import flow

from flows import parameters as p
from flows.alarm import tell_of_half_rollback
from flows.identity import asker, ledger_id, run_name
from flows.outcome import concluded
from tasks.acting import put_actions_back, stop_the_workers
from tasks.publishing import publish_story, publish_undone
from tasks.queues import verify_run, withdraw_run


@flow(
    name="rollback",
    flow_run_name=run_name,
    on_failure=[tell_of_half_rollback],
    on_crashed=[tell_of_half_rollback],
)
def rollback(queue: p.QueueName, run_id: p.RunId, reason: p.Reason = "", stop_workers: p.StopWorkers = False) -> Any:
    """Withdraw exactly what a run put into the live queue and the quarantine, and put it back into the DLQ."""
    own, who = ledger_id(queue), asker()
    if stop_workers:
        stop_the_workers(queue, own, who)
    undone = withdraw_run(queue, run_id, who, reason, own)
    put_actions_back(queue, own, who)  # starts the workers again, if they were stopped
    put_actions_back(queue, run_id, who)
    publish_undone(queue, undone)
    return concluded(publish_story(verify_run(queue, run_id)))
