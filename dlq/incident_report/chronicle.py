"""The timeline of an incident: what people and programs told, and what the ledger says, in one order."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

import pandas as pd

from dlq.engine.assess import Assessment
from dlq.incident_report.tables import Table
from dlq.records.timeline import Event
from dlq.summaries.story import Story

_WAVES_SHOWN = 12
_MOST_EVENTS = 200


def chronicle(story: Story, before: Assessment | None, told: Sequence[Event]) -> list[Event]:
    """Merge the timeline's events with the run's own; of many waves the first and the last ones."""
    record = story.record
    events = list(told)
    if before:
        text = f"assessed: {before.depth:,} messages, severity {before.severity}"
        events.append(Event(before.at, "assessment", text))
    if record.started_at:
        begun = f"{record.kind} begun: {record.frozen:,} messages frozen"
        events.append(Event(record.started_at, "begun", begun, record.who))
    events += _waves(story)
    if record.ended_at:
        note = f" ({record.facts['note']})" if record.facts.get("note") else ""
        events.append(Event(record.ended_at, "ended", f"run {record.state}: {record.selected:,} selected{note}"))
    events.append(Event(story.verified_at, "verified", f"verified: {story.outcome.conservation}"))
    return sorted(events, key=lambda event: event.at)


def _waves(story: Story) -> list[Event]:
    shown = story.waves
    if len(shown) > _WAVES_SHOWN:
        shown = pd.concat([shown.head(_WAVES_SHOWN // 2), shown.tail(_WAVES_SHOWN // 2)])
    return [
        Event(
            wave["ended"].to_pydatetime(),
            "wave",
            f"wave {wave['wave']}: {wave['selected']:,} selected of {wave['scanned']:,} looked at",
        )
        for wave in shown.to_dict("records")
    ]


def table(events: Sequence[Event], zone: tzinfo) -> Table:
    """Show events as rows of time, event and who; of too many the first and the last ones."""
    more = ""
    if len(events) > _MOST_EVENTS:
        more = f"{len(events) - _MOST_EVENTS:,} events in the middle are left out"
        events = [*events[: _MOST_EVENTS // 2], *events[-_MOST_EVENTS // 2 :]]
    form = time_form([event.at for event in events])
    shown = tuple((event.at.astimezone(zone).strftime(form), event.text, event.who) for event in events)
    return Table(("time", "event", "who"), shown, frozenset(), more)


def time_form(moments: Sequence[datetime]) -> str:
    """Choose how moments are written: with their day when they are of more than one."""
    long = bool(moments) and max(moments) - min(moments) > timedelta(hours=18)
    return "%m-%d %H:%M:%S" if long else "%H:%M:%S"
