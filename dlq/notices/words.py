"""What people are told at the turns of an incident: its assessment, its outcome, its failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlq.brokers.base import Place
from dlq.durations import format_duration
from dlq.engine.bounces import stopped
from dlq.engine.run import Request
from dlq.messages.signatures import Signature
from dlq.notices.incident import State, Verdict
from dlq.notices.notice import Notice
from dlq.records.ledger import unpack_signatures
from dlq.redaction import redact

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.engine.assess import Assessment
    from dlq.records.ledger import RunRecord
    from dlq.summaries.story import Story

_SIGNATURES = 8


def assessment_notice(found: Assessment, run_id: str = "", plot: bytes | None = None) -> Notice:
    """Tell what lies in a DLQ, the most frequent signatures first."""
    called = f"; level {found.level.number} ({found.level.who}) is called" if found.level else ""
    title = f"{found.depth:,} messages in the DLQ of {found.queue}, severity {found.severity}{called}"
    lines = [f"{seen.count:,} of {seen.signature}" for seen in found.signatures[:_SIGNATURES]]
    if len(found.signatures) > _SIGNATURES:
        lines.append(f"and {len(found.signatures) - _SIGNATURES:,} more signatures")
    if found.corrupted:
        lines.append(f"{sum(found.corrupted.values()):,} cannot be read")
    level = found.level.number if found.level else None
    return Notice("assessment", found.queue, title, "\n".join(lines), found.severity, run_id, level, plot=plot)


def assessment_facts(found: Assessment) -> dict[str, Any]:
    """Give what an assessment says about an incident, as fields of Incident."""
    return {
        "state": State.ASSESSED,
        "severity": found.severity.value,
        "level": found.level.number if found.level else None,
        "depth_first": found.depth,
        "depth": found.depth,
        "live": found.live_depth,
    }


def standing_facts(queue: DeadLetterQueue, record: RunRecord) -> dict[str, Any]:
    """Give what a queue and the ledger say about an incident's run now, as fields of Incident."""
    facts: dict[str, Any] = {
        "depth": queue.depth(Place.DLQ),
        "live": queue.depth(Place.LIVE),
        "selected": record.selected,
    }
    if record.quarantined:
        facts["quarantined"] = record.quarantined
    if halted := stopped(record):
        names = {
            signature.key: str(signature)
            for parts in unpack_signatures(queue.signatures(record.run_id)).values()
            for signature in [Signature(*parts)]
        }
        facts["verdicts"] = tuple(
            Verdict(names.get(one.key, f"signature {one.key}"), "stopped", one.sent, one.bounced) for one in halted
        )
    planned = _planned(record)
    return facts | ({"planned": planned} if planned is not None else {})


def outcome_state(story: Story, config: QueueConfig) -> State:
    """Say how an incident ended.

    Resolved only when the run is done, the workers have taken everything, nothing had to be stopped, and the DLQ is no
    longer too deep.
    """
    if story.outcome.unexplained or story.record.state == "failed":
        return State.FAILED
    if story.record.state != "done":
        return State.STOPPED
    if story.outcome.pending:
        return State.PENDING
    if stopped(story.record) or story.depth > config.thresholds.depth_warn:
        return State.PARTIAL
    return State.RESOLVED


def outcome_facts(story: Story, state: State) -> dict[str, Any]:
    """Give what the verification says about an incident, as fields of Incident."""
    outcome, halted = story.outcome, {one.key for one in stopped(story.record)}
    verdicts = tuple(
        Verdict(
            story.names.get(seen.code, f"signature {seen.code}"),
            "stopped" if story.keys.get(seen.code) in halted else seen.verdict,
            seen.delivered + seen.bounced + seen.pending,
            seen.bounced,
        )
        for seen in outcome.signatures
    )
    counts = ("selected", "delivered", "bounced", "pending", "quarantined", "unexplained")
    return {
        "state": state,
        "depth": story.depth,
        "verdicts": verdicts,
        **{name: getattr(outcome, name) for name in counts},
    }


def outcome_notice(story: Story, state: State, report: str = "", plot: bytes | None = None) -> Notice:
    """Tell how a run ended, in one summary."""
    record = story.record
    lines = [story.outcome.conservation, f"{story.depth:,} messages are left in the DLQ"]
    if record.started_at and record.ended_at:
        lines.append(f"it took {format_duration(record.ended_at - record.started_at)}")
    if note := record.facts.get("note"):
        lines.append(note)
    if report:
        lines.append(f"report: {report}")
    title = f"{record.queue}: {state}"
    return Notice(str(state), record.queue, title, "\n".join(lines), run_id=record.run_id, plot=plot)


def discard_notice(queue: str, run_id: str, dropped: int, archive: str) -> Notice:
    """Tell those who were asked about a discard what became of it, and the way back."""
    title = f"{queue}: {dropped:,} {'message was' if dropped == 1 else 'messages were'} dropped"
    text = redact(f"Kept in {archive}\nUndo: dlq restore {archive}")
    return Notice("discarded", queue, title, text, run_id=run_id)


def failure_notice(queue: str, run_id: str, what: str) -> Notice:
    """Tell that the flow run of an incident failed."""
    text = f"{redact(what)}\nNothing is half done: retry the flow run, or: dlq resume {run_id}"
    return Notice("failed", queue, f"{queue}: the flow run failed", text, run_id=run_id)


def _planned(record: RunRecord) -> int | None:
    """Say how many messages a run means to select; None when only reading them all would tell."""
    if record.kind == "rollback":
        return None
    request = Request.from_record(record)
    if not request.selector.everything:
        return None
    return record.frozen if request.most is None else min(record.frozen, request.most)
