"""Failures put together by what they have in common, and what that is called."""

import json

import pytest

from dlq.brokers.base import Place
from dlq.brokers.memory import MemoryQueue
from dlq.config.queues import QueueConfig
from dlq.diagnosis.facts import Facts
from dlq.diagnosis.symptoms import symptoms
from dlq.engine.assess import assess

CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))


def dead(number: int, error: str) -> bytes:
    """Make a dead letter."""
    return json.dumps({"id": str(number), "type": ("a", "b", "c")[number % 3], "error": error}).encode()


@pytest.mark.parametrize(
    ("timeouts", "gateways", "name"),
    [(60, 40, "TimeoutError and HTTPError"), (40, 60, "HTTPError and TimeoutError"), (95, 5, "TimeoutError")],
)
def test_a_symptom_is_named_after_most_of_its_errors(timeouts: int, gateways: int, name: str) -> None:
    """The many signatures of one class, of several types, count together; a few of another class do not name it."""
    queue = MemoryQueue(CONFIG)
    errors = ["TimeoutError: gateway timed out"] * timeouts + ["HTTPError: gateway is unavailable"] * gateways
    queue.store.lists[Place.DLQ] = [dead(number, error) for number, error in enumerate(errors)]
    (found,) = [symptom for symptom in symptoms(Facts(assess(queue, CONFIG))) if symptom.share > 0.9]
    assert found.name == name
