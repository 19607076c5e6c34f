"""Chapter 4: drain a DLQ, gradually, selectively, with edits, or as a dry run.

Alert: HighDLQDepth (`tokpulse_dlq_depth` over 1,000), or a person's decision after the assessment.
Before: the cause of the failures is mended, workers run, the live queue is short. Try `dry_run` first.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG) for the queues; DLQ_HOME is where reports lie.
Undo: the flow `rollback` with the run id that this flow logs and returns.

Retrying a failed flow run goes on under the same ledger run, where that stopped.
"""

from typing import Any

from prefect import flow

from dlq.engine.run import Kind
from dlq.notices import State
from flows import parameters as p
from flows.admission import Guard, admitted, keep_facts
from flows.identity import asked_at, asker, ledger_id, run_name
from flows.outcome import concluded
from tasks.admission import plan_run
from tasks.escalating import escalate_run
from tasks.following import keep_quiet
from tasks.job import Change, Job, Pick, bounds_of, pace_of
from tasks.publishing import publish_preview, publish_story
from tasks.queues import give_grace, preview_run, verify_run
from tasks.telling import show_incident
from tasks.waves import Standing, begin_run, drain_wave, finish_run, first_step, watch_wave


@flow(name="drain", flow_run_name=run_name)
def drain(
    queue: p.QueueName,
    reason: p.Reason = "",
    dry_run: p.DryRun = False,
    pace: p.Pace = "fixed",
    batch: p.Batch = 100,
    pause: p.Pause = 30,
    max_batches: p.MaxBatches = 10,
    rate: p.Rate = 0,
    on_trip: p.OnTrip = "as configured",
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
    override: p.Override = "",
    fixed: p.Fixed = "",
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
        bounds=bounds_of(rate, on_trip, grace),
        limit=limit,
    )
    if dry_run:
        return publish_preview(preview_run(job)) | {"plan": plan_run(job).as_dict()}
    admission = admitted(job, Guard(override=override, fixed=fixed, by_hand=True))
    if admission.ending is not None:
        return admission.ending
    work_through(admission.job)
    keep_facts(job)
    give_grace(0 if pace == "adaptive" else grace)  # an adaptive drain has waited for its last outcome
    story = verify_run(queue, job.run_id)
    return concluded(publish_story(story))


def work_through(job: Job) -> Standing:
    """Do the waves of a job as its loop says, and close its run; on a retry, go on with the wave that failed."""
    standing, following = begin_run(job), None
    if standing.running:
        following = first_step(job)
        while following.moves:
            drain_wave(job, following.number, following.budget)
            show_incident(job.queue, job.run_id, {"state": State.DRAINING})
            following = watch_wave(job, following.number)
            escalate_run(job.queue, job.run_id)
            keep_quiet(job)
    return finish_run(job, following)
