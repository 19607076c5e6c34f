"""Which immediate actions a state of the queue calls for."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dlq.actions.plan import Kind, plan_actions
from dlq.brokers.memory import MemoryQueue
from dlq.config.queues import QueueConfig
from dlq.diagnosis.facts import Facts
from dlq.engine.assess import Assessment, assess
from dlq.systems.cluster.state import WorkerState
from dlq.systems.metrics import Reading
from dlq.systems.workers_api import Health

CONFIG = QueueConfig(**QueueConfig.defaults("webhooks"))
READY = WorkerState("webhook-workers", "tokpulse", 3, 3, 0, (), {}, (), (), None, None, ())


def assessed(**changes: Any) -> Assessment:
    """Give the assessment of an empty DLQ, with changes."""
    return replace(assess(MemoryQueue(CONFIG), CONFIG), **changes)


def reading(value: float | None, note: str = "") -> Reading:
    """Give what Prometheus says."""
    return Reading(value, "prometheus http://prometheus:9090", datetime.now(UTC), note)


def test_a_quiet_queue_calls_for_nothing() -> None:
    """No action, no hold."""
    plan = plan_actions(CONFIG, Facts(assessed(growth_per_minute=3.0), workers=READY))
    assert (plan.actions, plan.hold, plan.notes) == ((), (), ())


def test_fast_growth_calls_for_more_workers() -> None:
    """The runbook's ten, and a concurrency of twenty."""
    plan = plan_actions(CONFIG, Facts(assessed(growth_per_minute=101.0)))
    assert [(planned.kind, planned.target, planned.count) for planned in plan.actions] == [
        (Kind.SCALE, "webhook-workers", 10),
        (Kind.CONCURRENCY, "workers", 20),
    ]
    assert "101 messages a minute come into the DLQ (the broker's samples), over 100" in plan.actions[0].why


def test_prometheus_goes_before_our_samples() -> None:
    """Where it answers; where it does not, the samples count, and the reason says why."""
    known = Facts(assessed(growth_per_minute=3.0), readings=(("growth a minute", reading(500)),))
    assert "prometheus" in plan_actions(CONFIG, known).actions[0].why
    down = Facts(assessed(growth_per_minute=500.0), readings=(("growth a minute", reading(None, "down")),))
    assert "the broker's samples; Prometheus: down" in plan_actions(CONFIG, down).actions[0].why


def test_unknown_growth_calls_for_nothing() -> None:
    """And is noted: it is not taken for zero."""
    plan = plan_actions(CONFIG, Facts(assessed()))
    assert (plan.actions, len(plan.notes)) == ((), 1)
    assert "not known" in plan.notes[0]


def test_a_queue_without_workers_is_not_scaled() -> None:
    """The note says what to set."""
    config = QueueConfig(**QueueConfig.defaults("experiments"))
    plan = plan_actions(config, Facts(assessed(growth_per_minute=500.0)))
    assert [planned.kind for planned in plan.actions] == [Kind.CONCURRENCY]
    assert "set `workers`" in plan.notes[0]


def test_corrupted_messages_go_to_the_quarantine() -> None:
    """All of them, and the reasons are told."""
    plan = plan_actions(CONFIG, Facts(assessed(corrupted={"invalid JSON": 400, "empty": 2}, growth_per_minute=0.0)))
    (planned,) = plan.actions
    assert (planned.kind, planned.count) == (Kind.QUARANTINE, 402)
    assert "400 invalid JSON, 2 empty" in planned.why


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"health": Health(healthy=False, note="database down", checks={})}, "not healthy: database down"),
        ({"workers": replace(READY, ready=0)}, "no worker is ready"),
        ({"readings": (("success rate", reading(0.2)),)}, "20% of what the workers process goes well"),
    ],
)
def test_failing_processing_holds_the_drain(facts: dict[str, Any], said: str) -> None:
    """Each reason is given."""
    plan = plan_actions(CONFIG, Facts(assessed(), **facts))
    assert len(plan.hold) == 1
    assert said in plan.hold[0]


def test_what_is_unknown_holds_nothing() -> None:
    """No health check, no metrics, no cluster: the drain is not held for that here."""
    unknown = Health(healthy=None, note="does not answer", checks={})
    facts = Facts(assessed(), health=unknown, readings=(("success rate", reading(None)),))
    assert plan_actions(CONFIG, facts).hold == ()
