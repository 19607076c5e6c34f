"""The workers' success rate in a run's ledger: known, unknown with the reason, or not configured."""

from datetime import UTC, datetime

import pytest

from dlq.config.settings import Settings
from dlq.errors import RunNotFoundError
from dlq.summaries.success import note_success, success_of
from dlq.systems.metrics import Metrics, Reading
from tests.integration.conformance import MemoryDesk, letter


@pytest.fixture
def desk() -> MemoryDesk:
    """Give a queue with a run."""
    desk = MemoryDesk()
    desk.put(letter(1))
    desk.run()
    return desk


def test_without_prometheus_it_is_not_configured(desk: MemoryDesk) -> None:
    """Never a silent zero."""
    assert note_success(desk.queue, Settings(), "webhooks", "r1") == "not configured"
    record = desk.queue.run("r1")
    assert record is not None
    assert success_of(record.facts) == "not configured"


def test_a_prometheus_that_is_down_is_unknown(desk: MemoryDesk) -> None:
    """With the reason, and within the time-out."""
    settings = Settings.model_validate({"prometheus_url": "http://127.0.0.1:1"})
    assert note_success(desk.queue, settings, "webhooks", "r1").startswith("unknown: ")


def test_a_reading_is_a_share(desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the ledger as people read it."""
    reading = Reading(0.973, "prometheus", datetime.now(UTC))
    monkeypatch.setattr(Metrics, "success_rate", lambda _self, _queue: reading)
    assert note_success(desk.queue, Settings(), "webhooks", "r1") == "97.3%"


def test_no_run_no_fact(desk: MemoryDesk) -> None:
    """A run that is not in the ledger does not come into being by this."""
    with pytest.raises(RunNotFoundError):
        note_success(desk.queue, Settings(), "webhooks", "r9")
    assert desk.queue.run("r9") is None
