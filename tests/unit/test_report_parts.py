"""The parts of the incident report: times, advice, tables and drafts, each from facts that are given here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from dlq.config.policy import Severity
from dlq.config.queues import Thresholds
from dlq.engine.assess import Assessment, SignatureCount
from dlq.engine.verify import Outcome
from dlq.incident_report import tables
from dlq.incident_report.advice import advise
from dlq.incident_report.chronicle import chronicle, table, time_form
from dlq.incident_report.drafts import customers, status_page
from dlq.incident_report.tables import Table, cell
from dlq.incident_report.times import times
from dlq.messages.signatures import Signature
from dlq.notices import State
from dlq.records.ledger import RunRecord
from dlq.records.timeline import Event
from dlq.summaries.story import Story

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Give a moment so many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def story(waves: Sequence[tuple[int, float]] = ((1, 31.0),), **changed: Any) -> Story:
    """Make a run that began half an hour after noon and ended ten minutes later."""
    fields = {"queue": "webhooks", "kind": "drain", "state": "done", "who": "alert HighDLQDepth", "frozen": "1000"}
    fields |= {"started_at": str(int(at(30).timestamp() * 1000)), "ended_at": str(int(at(40).timestamp() * 1000))}
    counts = {"selected": 1000, "delivered": 1000, "bounced": 0, "pending": 0, "quarantined": 0, "dropped": 0}
    counts |= {"rolled_back": 0, "unexplained": 0, "arrived": 0} | changed.pop("counts", {})
    outcome = Outcome("webhooks-1", **counts, exact=True, signatures=())
    frame = pd.DataFrame(
        [(number, at(ended), at(ended), 100, 100) for number, ended in waves],
        columns=["wave", "began", "ended", "scanned", "selected"],
    )
    record = RunRecord.from_fields("webhooks-1", fields | changed.pop("fields", {}))
    return Story(record, outcome, {}, (), frame, at(50), changed.pop("depth", 0))


def assessment(per_minute: dict[int, int], **changed: Any) -> Assessment:
    """Make an assessment of failures in the given minutes after noon."""
    minutes = {int(at(minute).timestamp() // 60): count for minute, count in per_minute.items()}
    total = sum(per_minute.values())
    first = at(min(per_minute)) if per_minute else None
    seen = SignatureCount(Signature("webhook", "TimeoutError", "timed out"), total, first, None, 5, minutes, ())
    said: dict[str, Any] = {"corrupted": {}, "types": {}, "oldest": first, "newest": None, "level": None} | changed
    return Assessment("webhooks", at(29), total, 0, 0, total, signatures=(seen,), severity=Severity.HIGH, **said)


def told(*events: tuple[float, str, str]) -> list[Event]:
    """Make events of (minute, kind, who)."""
    return [Event(at(minute), kind, kind, who) for minute, kind, who in events]


def test_times_count_from_the_alert() -> None:
    """Detected, acknowledged by the first person, acted on by the first action, resolved by the run's end."""
    events = told((20, "alert", "alertmanager"), (25, "approval", "ada"), (27, "action", "dlq"))
    before = assessment({0: 10})
    found = times(story(), before, chronicle(story(), before, events), State.RESOLVED)
    assert found.rows() == [
        ("Time to detect", "20m after the first failure"),
        ("Time to acknowledge", "5m after the alert"),
        ("Time to first action", "7m after the alert"),
        ("Time to resolve", "20m after the alert"),
    ]


def test_times_that_nobody_knows_are_not_invented() -> None:
    """Without an alert, a person and an end each line says so; programs acknowledge nothing."""
    events = told((25, "approval", "nobody"), (26, "alert-less", "alertmanager"))
    found = times(story(waves=()), None, chronicle(story(waves=()), None, events), State.STOPPED)
    assert [said for _, said in found.rows()] == [
        "no alert started this",
        "no person has answered",
        "nothing was done",
        "not resolved",
    ]


def test_a_run_that_a_person_began_is_acknowledged_by_it() -> None:
    """Whoever starts the drain has seen the incident."""
    by_hand = story(fields={"who": "ada"})
    before = assessment({0: 10})
    found = times(by_hand, before, chronicle(by_hand, before, ()), State.RESOLVED)
    assert found.acknowledged == at(30)


def test_the_chronicle_merges_and_orders() -> None:
    """What was told and what the ledger says stand in the order of time; of many waves the middle is left out."""
    waves = [(number, 30 + number / 10) for number in range(1, 41)]
    events = chronicle(story(waves), assessment({0: 10}), told((20, "alert", "alertmanager"), (45, "note", "ada")))
    kinds = [event.kind for event in events]
    assert kinds[:3] == ["alert", "assessment", "begun"]
    assert kinds.count("wave") == 12
    assert kinds[-3:] == ["ended", "note", "verified"]
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_a_long_incident_shows_days() -> None:
    """Times of more than one day have their day; a storm of events is cut in the middle, and says so."""
    events = told(*((minute, "note", "") for minute in range(0, 3_000, 10)))
    assert time_form([event.at for event in events]) == "%m-%d %H:%M:%S"
    shown = table(events, UTC)
    assert (len(shown.rows), shown.more) == (200, "100 events in the middle are left out")
    assert shown.rows[0][0] == "11-25 12:00:00"


def test_advice_names_an_earlier_threshold() -> None:
    """Slow growth that took an hour to the threshold: both thresholds get a better value."""
    depth, growth = advise(assessment(dict.fromkeys(range(100), 20)), Thresholds(), UTC)
    assert "crossed at 2026-11-25 12:50, 50m after the first failure" in depth
    assert "A depth_warn of 200 would have been crossed within 10m" in depth
    assert "20 a minute; the threshold is 100, which was not crossed" in growth
    assert "A growth_per_minute of 10 would have been crossed" in growth


def test_advice_says_when_thresholds_did_well() -> None:
    """A flood crosses both at once, and there is nothing to better."""
    depth, growth = advise(assessment({0: 600, 1: 600, 2: 600}), Thresholds(), UTC)
    assert depth.endswith("1m after the first failure.")
    assert growth.endswith("crossed by 2026-11-25 12:05, 5m after the first failure.")


def test_advice_without_dates_says_so() -> None:
    """Messages that do not say when they failed give no advice, and no number."""
    (line,) = advise(assessment({}), Thresholds(), UTC)
    assert "No message says when it failed" in line


def test_a_long_table_says_what_it_leaves_out() -> None:
    """Sixty rows become fifty, and the sum of the rest is told."""
    frame = pd.DataFrame({"signature": [f"s{number}" for number in range(60)], "messages": range(60)})
    found = Table.of(frame, counted="messages")
    assert (len(found.rows), found.more) == (50, f"and 10 more with {sum(range(50, 60))} messages")
    assert found.numbers == frozenset({1})
    assert "---:" in list(tables.markdown(found))[1]


@pytest.mark.parametrize("evil", ["a | b", "<script>", "[x](javascript:1)", "`code`", "**bold**", "a\nb"])
def test_a_foreign_text_stays_in_its_cell(evil: str) -> None:
    """Nothing that a message brings ends a cell, begins a tag or makes a link."""
    written = cell(evil)
    assert "\n" not in written
    for mark in "|<[`*":
        assert written.count(mark) == written.count(f"\\{mark}")


def test_drafts_name_no_internals() -> None:
    """The public texts have times and counts, and no failure, signature, run or person."""
    done = story(counts={"delivered": 900, "pending": 100}, depth=5)
    found = times(done, assessment({0: 10}), chronicle(done, None, ()), State.RESOLVED)
    page = status_page("webhooks", State.RESOLVED, found, done, UTC)
    letter = customers("webhooks", page)
    assert page.text == (
        "From 2026-11-25 12:00 UTC to 2026-11-25 12:40 UTC, some webhooks were processed late. 900 delayed items have"
        " been processed. Up to 105 are still to be processed; we go on with them."
    )
    assert page.text in letter.text
    assert not any(word in letter.text for word in ("Timeout", "webhooks-1", "alert", "DLQ"))


def test_a_draft_before_the_drain_promises_nothing() -> None:
    """While nothing is known of the outcome the page says that it is looked into."""
    found = times(story(), assessment({0: 10}), (), State.ASSESSED)
    page = status_page("webhooks", State.ASSESSED, found, None, UTC)
    assert page.text == ("Since 2026-11-25 12:00 UTC, some webhooks are processed late. We are looking into it.")
