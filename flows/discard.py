"""Drop messages that nobody can mend: into an archive first, which can be put back.

Alert: none; a person's decision after the follow-ups, or about messages that no longer matter.
Before: a selector, since nobody drops a whole queue by leaving it out. Try `dry_run` first. A person has to agree.
Settings: DLQ_REDIS_URL, and dlq.toml (DLQ_CONFIG); DLQ_ARCHIVES, a folder or fsspec address, for the archive.
Undo: `dlq restore ARCHIVE`, or the flow `rollback` with the run id as long as the ledger has it.
"""

from typing import Any

from prefect import flow

from dlq.engine.run import Kind
from dlq.notices.words import discard_notice
from dlq.pacing.pace import Pace
from flows import parameters as p
from flows.admission import Guard, admitted, keep_facts
from flows.identity import asked_at, asker, ledger_id, run_name
from flows.outcome import concluded
from flows.quarantine import Corrupted
from tasks.admission import plan_run
from tasks.discarding import discard_into_archive
from tasks.job import Job, Pick
from tasks.publishing import publish_preview, publish_story
from tasks.queues import preview_run, verify_run
from tasks.telling import tell_people


@flow(name="discard", flow_run_name=run_name)
def discard(
    queue: p.QueueName,
    reason: p.Reason = "",
    dry_run: p.DryRun = False,
    corrupted: Corrupted = False,
    types: p.Types = None,
    signatures: p.Signatures = None,
    error: p.Error = None,
    older_than: p.OlderThan = None,
    newer_than: p.NewerThan = None,
    attempts_min: p.AttemptsMin = None,
    where: p.Where = None,
    limit: p.Limit = None,
) -> Any:
    """Archive the messages that fit, have a person agree, and drop them."""
    job = Job(
        run_id=ledger_id(queue),
        queue=queue,
        kind=Kind.DISCARD,
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
        return publish_preview(preview_run(job)) | {"plan": plan_run(job).as_dict()}
    admission = admitted(job, Guard())
    if admission.ending is not None:
        return admission.ending
    dropped = discard_into_archive(admission.job)
    keep_facts(job)
    tell_people(queue, discard_notice(queue, job.run_id, dropped.dropped, dropped.archive))
    return concluded(publish_story(verify_run(queue, job.run_id)) | dropped.model_dump())
