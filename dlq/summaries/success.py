"""How well the workers do while a run's outcome is looked at, as Prometheus has it: a fact in the run's ledger."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from dlq.engine.run import find_run
from dlq.systems.metrics import Metrics

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import Settings

NOT_CONFIGURED = "not configured"
_FACT = "success_rate"


def note_success(queue: DeadLetterQueue, settings: Settings, name: str, run_id: str) -> str:
    """Write into a run's ledger which share of what the workers process goes well now, or why that is unknown."""
    find_run(queue, run_id)
    with closing(Metrics.of(settings)) as metrics:
        reading = metrics.success_rate(name)
        unknown = f"unknown: {reading.note}" if metrics.configured else NOT_CONFIGURED
    said = unknown if reading.value is None else f"{reading.value:.1%}"
    queue.annotate(run_id, {_FACT: said})
    return said


def success_of(facts: dict[str, str]) -> str:
    """Give what was written, from the facts of a run."""
    return facts.get(_FACT, NOT_CONFIGURED)
