"""What earlier runs of a signature teach: its bounce rate, and how fast consumers take."""

from datetime import UTC, datetime, timedelta

import pytest

from dlq.admission.consumption import from_samples
from dlq.admission.past import bounce_rates, note_outcome
from dlq.brokers.memory import MemoryQueue
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.settings import Settings
from dlq.engine.verify import Outcome, SignatureOutcome
from dlq.messages.signatures import Signature
from dlq.records.ledger import pack_signature
from dlq.summaries.samples import Sample

TIMEOUT = Signature("webhook", "TimeoutError", "gateway")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def outcome(run_id: str, delivered: int, bounced: int) -> Outcome:
    """Give the outcome of a run of one signature."""
    total = delivered + bounced
    seen = (SignatureOutcome(1, delivered, bounced, 0),)
    return Outcome(run_id, total, delivered, bounced, 0, 0, 0, 0, 0, 0, exact=True, signatures=seen)


def test_the_last_runs_of_a_signature_count() -> None:
    """Verified again a run counts once, with its newest outcome; the sixth run pushes the first out."""
    queue, notebook = MemoryQueue(Settings().queue("webhooks")), MemoryNotebook()
    for number in range(6):
        queue.store.runs[f"run-{number}"].signatures[1] = pack_signature(TIMEOUT)
    note_outcome(queue, notebook, outcome("run-0", 0, 100))
    assert bounce_rates(notebook) == {TIMEOUT.key: 1.0}
    note_outcome(queue, notebook, outcome("run-0", 50, 50))
    assert bounce_rates(notebook) == {TIMEOUT.key: 0.5}
    for number in range(1, 6):
        note_outcome(queue, notebook, outcome(f"run-{number}", 90, 10))
    assert bounce_rates(notebook)[TIMEOUT.key] == pytest.approx(0.1)


def test_the_fastest_fall_of_the_live_queue_is_the_rate() -> None:
    """A live queue that only grows tells nothing, which is not zero."""

    def sample(minute: int, live: int) -> Sample:
        return Sample(NOON + timedelta(minutes=minute), 0, live, 0, 0, None)

    assert from_samples([sample(0, 600), sample(1, 540), sample(2, 0), sample(3, 50)]) == 9.0
    assert from_samples([sample(0, 0), sample(1, 5), sample(2, 5)]) is None
