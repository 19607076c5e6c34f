"""Escalation: who is called when, each once."""

from datetime import UTC, datetime, timedelta

import pytest

from dlq.admission import escalation
from dlq.admission.escalation import State
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.policy_table import Policy
from dlq.config.settings import Settings
from dlq.records.timeline import timeline

CONFIG = Settings().queue("webhooks")
ALERT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def levels(state: State, minutes: float) -> list[int]:
    """List the levels that are due so long after the alert."""
    return [level.number for level, _ in escalation.due(CONFIG, state, ALERT, ALERT + timedelta(minutes=minutes))]


@pytest.mark.parametrize(
    ("state", "minutes", "called"),
    [
        (State(1_000), 600, []),
        (State(1_001), 0, [1]),
        (State(1_001), 29.9, [1]),
        (State(1_001), 30, [1, 2]),
        (State(1_001), 60, [1, 2, 3]),
        (State(1_001), 6_000, [1, 2, 3]),
        (State(10_001), 0, [1, 3]),
        (State(10_001), 30, [1, 2, 3]),
        (State(500, growth_per_minute=101), 0, [2]),
        (State(500, growth_per_minute=101), 15, [2, 3]),
        (State(5_000, growth_per_minute=101), 14, [1, 2]),
        (State(5_000, growth_per_minute=100), 14, [1]),
    ],
)
def test_levels_are_called_by_threshold_and_by_time(state: State, minutes: float, called: list[int]) -> None:
    """The runbook's thresholds call at once; its response times (30 minutes, 15 when growing) call the next level."""
    assert levels(state, minutes) == called


def test_the_next_call_is_known() -> None:
    """A follow-up can be set for the moment at which the next level is due; None when all are called."""
    due = escalation.next_due(CONFIG, State(2_000), ALERT, ALERT + timedelta(minutes=10))
    assert due == ALERT + timedelta(minutes=30)
    assert escalation.next_due(CONFIG, State(20_000), ALERT, ALERT) is None
    assert escalation.next_due(CONFIG, State(10), ALERT, ALERT) is None


def test_each_level_is_called_once() -> None:
    """Noted in the timeline once; one that was noted and not told comes again until it is told."""
    notebook, rules = MemoryNotebook(), Policy(contacts={"1": "support@example.com"})
    since = datetime.now(UTC) - timedelta(minutes=31)
    args = (notebook, CONFIG, rules, "webhooks-1", State(2_000), since)
    first = escalation.escalate(*args)
    assert [call.level.number for call in first] == [1, 2]
    assert (first[0].contact, first[1].contact) == ("support@example.com", "")
    assert [call.level.number for call in escalation.escalate(*args)] == [1, 2]
    for call in first:
        escalation.called(notebook, "webhooks-1", call)
    assert escalation.escalate(*args) == []
    assert escalation.levels_called(notebook, "webhooks-1") == [1, 2]
    lines = timeline(notebook, "webhooks-1")
    assert [line.kind for line in lines] == ["escalation", "escalation"]
    assert "support@example.com" in lines[0].text
