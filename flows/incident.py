"""The whole runbook for one queue, from assessment to follow-up; one ledger run, one timeline, one report.

Alert: HighDLQDepth (`tokpulse_dlq_depth` over 1,000) with a known and mended cause.
Before: workers run and the live queue is short, which the pre-flight looks at; what failed is expected to succeed now.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG) for the queues and the `[policy]`; DLQ_HOME is where reports lie.
Undo: the flow `rollback` with the run id that stands in the report.

Retrying a failed flow run goes on under the same ledger run, where that stopped.
"""

from typing import Any

from prefect import flow

from dlq.engine.run import Kind
from flows import parameters as p
from flows.act import take_actions
from flows.admission import Guard, admitted, keep_facts, put_off
from flows.alarm import tell_of_failure
from flows.diagnose import find_cause
from flows.drain import work_through
from flows.follow_up import come_back
from flows.identity import asked_at, asker, ledger_id, run_name
from flows.outcome import concluded
from tasks.acting import put_actions_back
from tasks.admission import plan_run
from tasks.alerts import note_alert
from tasks.customers import find_customers
from tasks.escalating import escalate_run
from tasks.following import settle_budget
from tasks.job import Change, Job, Pick, bounds_of, pace_of
from tasks.publishing import publish_assessment, publish_preview, publish_story, write_report
from tasks.queues import assess_before, assess_queue, give_grace, note_run, preview_run, verify_run
from tasks.telling import close_status_page, open_status_page, tell_assessment, tell_outcome


@flow(name="incident", flow_run_name=run_name, on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def incident(
    queue: p.QueueName,
    reason: p.Reason = "",
    dry_run: p.DryRun = False,
    pace: p.Pace = "adaptive",
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
    alert: p.FiringAlert = None,
) -> Any:
    """Assess a DLQ, drain it, verify the outcome and write the incident's report."""
    job = Job(
        run_id=ledger_id(queue),
        queue=queue,
        kind=Kind.DRAIN,
        who=f"alert {alert.name}" if alert else asker(),
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
        return rehearse(job)
    if alert:
        note_alert(queue, job.run_id, alert)
    before = assess_before(queue, job.run_id)
    find_customers(queue, job.run_id)
    publish_assessment(before)
    tell_assessment(before, job.run_id)
    open_status_page(before, job.run_id)
    take_actions(queue, job.run_id, find_cause(queue, job.run_id, before), job.who, job.asked_at)
    escalate_run(queue, job.run_id, alert.starts_at if alert else asked_at())
    guard = Guard(
        override=override,
        fixed=fixed,
        attended=alert is None,
        automatic=alert is not None,
        alert_level=alert and alert.level,
    )
    admission = admitted(job, guard)
    if admission.ending is not None:
        put_actions_back(queue, job.run_id, job.who)
        return put_off(admission, "incident/incident")
    work_through(admission.job)
    keep_facts(job)
    give_grace(0 if pace == "adaptive" else grace)  # an adaptive drain has waited for its last outcome
    story = verify_run(queue, job.run_id)
    put_actions_back(queue, job.run_id, job.who)
    report = write_report(story, before)
    note_run(queue, job.run_id, {"report": report})
    tell_outcome(story, report)
    close_status_page(story, before)
    settle_budget(job)
    come_back(queue, job.run_id)
    return concluded(publish_story(story, report))


def rehearse(job: Job) -> dict[str, Any]:
    """Assess, diagnose, and show the actions and the plan; nothing is moved, scaled or told."""
    found = assess_queue(job.queue)
    publish_assessment(found)
    facts = find_cause(job.queue, job.run_id, found)
    shown = take_actions(job.queue, job.run_id, facts, job.who, job.asked_at, dry_run=True)
    return publish_preview(preview_run(job)) | {"actions": shown["actions"], "plan": plan_run(job).as_dict()}
