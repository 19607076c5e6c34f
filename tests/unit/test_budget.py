"""Budgets and quiet hours of automatic runs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dlq.admission import budget
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.policy_table import Policy

NOON = datetime(2026, 11, 25, 12, 20, tzinfo=UTC)
RULES = Policy(budget_per_hour=100)


def test_runs_share_the_budget_of_an_hour() -> None:
    """The last one gets what is left, then nothing until the next hour."""
    notebook = MemoryNotebook()
    granted = [budget.reserve(notebook, RULES, f"run-{number}", 60, NOON, UTC).messages for number in range(3)]
    assert granted == [60, 40, 0]
    late = budget.reserve(notebook, RULES, "run-3", 60, NOON, UTC)
    assert (late.later, "100" in late.why) == (NOON.replace(minute=0) + timedelta(hours=1), True)
    assert budget.reserve(notebook, RULES, "run-4", 60, NOON + timedelta(hours=1), UTC).messages == 60


def test_a_retry_gets_what_the_run_had() -> None:
    """It neither takes twice nor loses its part to others."""
    notebook = MemoryNotebook()
    for _ in range(3):
        assert budget.reserve(notebook, RULES, "run-1", 70, NOON, UTC).messages == 70
    assert budget.reserve(notebook, RULES, "run-2", 70, NOON, UTC).messages == 30


def test_what_is_not_used_goes_back_once() -> None:
    """A run that stopped after its canary leaves the rest to others."""
    notebook = MemoryNotebook()
    budget.reserve(notebook, RULES, "run-1", 100, NOON, UTC)
    for _ in range(2):
        budget.give_back(notebook, "run-1", NOON, 10)
    assert budget.reserve(notebook, RULES, "run-2", 1_000, NOON, UTC).messages == 90


def test_nothing_starts_in_quiet_hours() -> None:
    """The time zone is that of the settings; without hours it is never quiet."""
    rules, zone = Policy.model_validate({"quiet_hours": "13:00-14:00"}), ZoneInfo("Europe/Berlin")
    told = budget.reserve(MemoryNotebook(), rules, "run-1", 5, NOON, zone)
    assert (told.messages, told.later) == (0, datetime(2026, 11, 25, 13, tzinfo=UTC))
    assert budget.reserve(MemoryNotebook(), rules, "run-1", 5, NOON, UTC).messages is None
    assert budget.quiet_until(Policy(), NOON, zone) is None
