"""The incident report of the runbook's last chapter, put together from ledger, notebook and assessment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Self

from dlq.config.settings import QueueConfig
from dlq.diagnosis.kept import kept
from dlq.durations import format_duration
from dlq.engine.assess import Assessment
from dlq.engine.bounces import stopped
from dlq.incident_report import advice, drafts
from dlq.incident_report.brief import asked
from dlq.incident_report.cause import Cause, main_failure, of_diagnosis
from dlq.incident_report.chronicle import chronicle, table
from dlq.incident_report.tables import MOST_ROWS, Table
from dlq.incident_report.times import Times, times
from dlq.notices import Delivery, State, deliveries
from dlq.notices.words import outcome_state
from dlq.records.notebook import Notebook
from dlq.records.timeline import Event, timeline
from dlq.summaries import frames
from dlq.summaries.customers import Affected, remembered
from dlq.summaries.story import Story

_QUIET_KINDS = frozenset({"assessment", "verified", "begun", "wave", "ended", "alert"})
"""Kinds of events that changed nothing by themselves; waves are told in one line."""
_CUSTOMERS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """Everything that the report says; the markdown and the page are two ways to write it."""

    story: Story
    before: Assessment | None
    state: State
    zone: tzinfo
    events: tuple[Event, ...]
    times: Times
    cause: Cause
    affected: Affected | None
    untold: tuple[Delivery, ...]
    advice: tuple[str, ...]

    @classmethod
    def of(
        cls,
        notebook: Notebook,
        config: QueueConfig,
        story: Story,
        before: Assessment | None,
        zone: tzinfo,
        cause: Cause | None = None,
    ) -> Self:
        """Gather the report of a run."""
        run_id = story.record.run_id
        events = chronicle(story, before, timeline(notebook, run_id))
        state = outcome_state(story, config)
        return cls(
            story=story,
            before=before,
            state=state,
            zone=zone,
            events=tuple(events),
            times=times(story, before, events, state),
            cause=cause or of_diagnosis(kept(notebook, run_id)),
            affected=remembered(notebook, run_id),
            untold=tuple(one for one in deliveries(notebook, run_id) if one.missed),
            advice=tuple(advice.advise(before, config.thresholds, zone)) if before else (),
        )

    @property
    def title(self) -> str:
        """Give the report's title."""
        return f"Incident of {self.story.record.queue}"

    def summary(self) -> list[str]:
        """Say in a few sentences what happened."""
        record, outcome = self.story.record, self.story.outcome
        lines = []
        if (before := self.before) is not None:
            called = f"; level {before.level.number} ({before.level.who}) was called" if before.level else ""
            depth = f"{before.depth:,} messages lay in the DLQ of {record.queue}"
            lines.append(f"{depth}, severity {before.severity}{called}.")
        if symptom := main_failure(before):
            lines.append(f"{symptom}.")
        took = ""
        if record.started_at and record.ended_at:
            took = f" in {format_duration(record.ended_at - record.started_at)}"
        lines.append(
            f"The run selected {outcome.selected:,} messages{took}: {outcome.delivered:,} were delivered, "
            f"{outcome.bounced:,} bounced, {outcome.pending:,} are pending."
        )
        lines.append(f"The incident is {self.state}.")
        return lines

    def remains(self) -> list[str]:
        """Say what is still to be done."""
        outcome = self.story.outcome
        found = []
        if outcome.unexplained:
            found.append(f"{outcome.unexplained:,} messages are unexplained: find them first.")
        if self.story.depth:
            found.append(f"{self.story.depth:,} messages lie in the DLQ; {outcome.bounced:,} of the run came back.")
        if outcome.pending:
            found.append(f"{outcome.pending:,} messages wait for the workers: verify again when they have had time.")
        if outcome.quarantined:
            found.append(f"{outcome.quarantined:,} messages lie in the quarantine.")
        bad = [seen for seen in self.story.outcome.signatures if seen.bounced]
        if bad:
            worst = max(bad, key=lambda seen: seen.bounced)
            name = self.story.names.get(worst.code, f"signature {worst.code}")
            found.append(f"{len(bad):,} signatures bounced, most of all {name} ({worst.bounced:,}): mend them first.")
        names = {key: self.story.names[code] for code, key in self.story.keys.items()}
        found += [
            f"{names.get(one.key, one.key)} was stopped ({one.why}): {one.bounced:,} of {one.sent:,} bounced."
            for one in stopped(self.story.record)[:MOST_ROWS]
        ]
        return found or ["Nothing: the DLQ is empty and every message is accounted for."]

    def timeline(self) -> Table:
        """Give all events."""
        return table(self.events, self.zone)

    def actions(self) -> Table:
        """Give what was done, by whom and when."""
        done = [event for event in self.events if event.kind not in _QUIET_KINDS]
        waves = self.story.waves
        if len(waves):
            text = f"waves: {len(waves):,}; messages selected: {int(waves['selected'].sum()):,}"
            done.append(Event(waves["ended"].max().to_pydatetime(), "waves", text, self.story.record.who))
        return table(sorted(done, key=lambda event: event.at), self.zone)

    def outcome(self) -> Table:
        """Give what became of the messages, by signature."""
        return Table.of(frames.outcome_frame(self.story.outcome, self.story.names), counted="redriven")

    def found(self) -> Table | None:
        """Give what lay in the DLQ at the assessment; None when nobody looked."""
        if self.before is None:
            return None
        frame = frames.signature_frame(self.before)[["signature", "key", "messages", "share", "attempts_max"]]
        return Table.of(frame.rename(columns={"share": "%"}), counted="messages")

    def customers(self) -> Table | None:
        """Give the customers with the most affected messages; None when no field says whose a message is."""
        if self.affected is None:
            return None
        shown = list(self.affected.ids.items())[:_CUSTOMERS_SHOWN]
        left = self.affected.customers - len(shown)
        more = f"and {left:,} more customers" if left else ""
        return Table(
            ("customer", "messages"), tuple((whose, f"{count:,}") for whose, count in shown), frozenset({1}), more
        )

    def missed(self) -> Table:
        """Give what could not be told to people."""
        shown = tuple(
            (one.at.astimezone(self.zone).strftime("%H:%M:%S"), one.channel, one.title, one.note)
            for one in self.untold[:MOST_ROWS]
        )
        left = len(self.untold) - len(shown)
        return Table(("time", "channel", "notice", "why"), shown, more=f"and {left:,} more" if left else "")

    def facts(self) -> list[tuple[str, str]]:
        """Say what was asked for, by whom, when and why."""
        return list(asked(self.story, self.zone).items())

    def drafts(self) -> Sequence[drafts.Draft]:
        """Give the drafts for the status page and for affected customers."""
        page = drafts.status_page(self.story.record.queue, self.state, self.times, self.story, self.zone)
        return page, drafts.customers(self.story.record.queue, page)
