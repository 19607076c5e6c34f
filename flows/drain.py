"""Chapter 4: drain a DLQ, gradually, selectively, with edits, or as a dry run.

Alert: HighDLQDepth (`tokpulse_dlq_depth` over 1,000), or a person's decision after the assessment.
Before: the cause of the failures is mended, workers run, the live queue is short. Try `dry_run` first.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG) for the queues; DLQ_HOME is where reports lie.
Undo: the flow `rollback` with the run id that this flow logs and returns.

Retrying a failed flow run goes on under the same ledger run, where that stopped.
"""

from typing import Any

from prefect import flow

from dlq.notices import State
from dlq.run import Kind
from flows import parameters as p
from flows.identity import asked_at, asker, ledger_id, run_name
from flows.outcome import concluded
from tasks.job import Change, Job, Pick, pace_of
from tasks.publishing import publish_preview, publish_story
from tasks.queues import begin_run, drain_wave, finish_run, give_grace, pause_run, preview_run, verify_run
from tasks.telling import show_incident


@flow(name="drain", flow_run_name=run_name)
def drain(
    queue: p.QueueName,
    reason: p.Reason = "",
    dry_run: p.DryRun = False,
    pace: p.Pace = "fixed",
    batch: p.Batch = 100,
    pause: p.Pause = 30,
    max_batches: p.MaxBatches = 10,
    types: p.Types = None,
    signatures: p.Signatures = None,
    error: p.Error = None,
    older_than: p.OlderThan = None,
    newer_than: p.NewerThan = None,
    attempts_min: p.AttemptsMin = None,
    where: p.Where = None,
    limit: p.Limit = None,
    set: p.Set = None,  # noqa: A002 - the name of the command's option
    unset: p.Unset = None,
    increment: p.Increment = None,
    grace: p.Grace = 0,
) -> Any:
    """Redrive messages from the DLQ to the live queue, wave by wave, and say what became of them."""
    job = Job(
        run_id=ledger_id(queue),
        queue=queue,
        kind=Kind.DRAIN,
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
        ),
        change=Change(sets=set, unsets=unset, increments=increment),
        pace=pace_of(pace, batch, pause, max_batches),
        limit=limit,
    )
    if dry_run:
        return publish_preview(preview_run(job))
    work_through(job)
    give_grace(grace)
    story = verify_run(queue, job.run_id)
    return concluded(publish_story(story))


def work_through(job: Job) -> None:
    """Do the waves of a job, pausing between two, and close its run; on a retry, go on with the wave that failed."""
    standing = begin_run(job)
    number, ended = max(1, standing.wave), not standing.running
    while not ended and job.pace.more(number - 1):
        ended = drain_wave(job, number, job.pace.batch).ended
        number += 1
        show_incident(job.queue, job.run_id, {"state": State.DRAINING})
        if job.pace.pause and not ended and job.pace.more(number - 1):
            pause_run(job, job.pace.pause)
    finish_run(job)
