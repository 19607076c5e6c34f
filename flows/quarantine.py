"""Chapter 3, "if messages are corrupted": move them out of the way, into the queue's quarantine.

Alert: none of its own; the assessment counts corrupted messages.
Before: nothing; what is moved keeps its bytes and can be looked at with `dlq peek`. Try `dry_run` first.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG) for the queues; a `schema` there makes more messages corrupted.
Undo: the flow `rollback` with the run id that this flow logs and returns.
"""

from typing import Annotated, Any

from prefect import flow

from dlq.engine.run import Kind
from dlq.pacing.pace import Pace
from flows import parameters as p
from flows.drain import work_through
from flows.forms import described
from flows.identity import asked_at, asker, ledger_id, run_name
from flows.outcome import concluded
from tasks.job import Job, Pick
from tasks.publishing import publish_preview, publish_story
from tasks.queues import preview_run, verify_run

Corrupted = Annotated[
    bool,
    described("Corrupted", "On: the messages that cannot be read. Off: the healthy ones that fit what is said below."),
]


@flow(name="quarantine", flow_run_name=run_name)
def quarantine(
    queue: p.QueueName,
    reason: p.Reason = "",
    dry_run: p.DryRun = False,
    corrupted: Corrupted = True,
    types: p.Types = None,
    signatures: p.Signatures = None,
    error: p.Error = None,
    older_than: p.OlderThan = None,
    newer_than: p.NewerThan = None,
    attempts_min: p.AttemptsMin = None,
    where: p.Where = None,
    limit: p.Limit = None,
) -> Any:
    """Move messages from the DLQ to the quarantine; those that cannot be read, if nothing else is said."""
    job = Job(
        run_id=ledger_id(queue),
        queue=queue,
        kind=Kind.QUARANTINE,
        who=asker(),
        asked_at=asked_at(),
        reason=reason,
        pick=Pick(
            types=types,
            signatures=signatures,
            error=error,
            older_than=older_than,
            newer_than=newer_than,
            attempts_min=attempts_min,
            where=where,
            corrupted=corrupted,
        ),
        pace=Pace.unpaced(),
        limit=limit,
    )
    if dry_run:
        return publish_preview(preview_run(job))
    work_through(job)
    return concluded(publish_story(verify_run(queue, job.run_id)))
