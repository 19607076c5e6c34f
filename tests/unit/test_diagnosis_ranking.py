"""Incidents made up with a known cause: the true one comes first, and without evidence nothing does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from dlq.brokers.base import Place
from dlq.brokers.memory import MemoryQueue, MemoryStore
from dlq.config.queues import QueueConfig
from dlq.diagnosis.causes import Cause
from dlq.diagnosis.facts import Facts
from dlq.diagnosis.from_changes import closeness
from dlq.diagnosis.hypotheses import Diagnosis, diagnose
from dlq.diagnosis.sampling import own_fields, sample
from dlq.engine.assess import assess
from dlq.systems.cluster.history import Rollout
from dlq.systems.cluster.state import MemoryKill, WorkerState
from dlq.systems.repository import Commit
from dlq.systems.workers_api import Health

NOW = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
CONFIG = QueueConfig(**QueueConfig.defaults("webhooks"))
NOISE = (
    "ConnectionError: connection reset by peer",
    "KeyError: 'tenant'",
    "ValidationError: email is not valid",
    "TimeoutError: smtp-relay timed out after 30 s",
)
HEALTHY = WorkerState("webhook-workers", "tokpulse", 3, 3, 0, (), {}, ("workers:1",), (), None, None, ())

Text = Callable[[Random], str]


@dataclass
class Incident:
    """A made-up incident: what failed from `minutes` ago on, with what text, and what the systems around say."""

    cause: Cause
    text: Text | None
    subject: str = ""
    minutes: int = 90
    share: float = 0.85
    body: Callable[[Random], dict[str, Any]] = field(default=lambda rng: {"amount": rng.randrange(100)})
    broken: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def at(minutes: float) -> datetime:
    """Give the moment so many minutes ago."""
    return NOW - timedelta(minutes=minutes)


def rollout(minutes: float, revision: int = 14) -> tuple[Rollout, ...]:
    """Give a history with a rollout so many minutes ago, and an older one."""
    new = Rollout("webhook-workers", revision, at(minutes), (f"workers:{revision}",), "", current=True, returned=False)
    return (new, replace(new, revision=revision - 1, at=at(minutes + 9_000), current=False))


def workers(**changes: Any) -> WorkerState:
    """Give the state of workers that are healthy but for these changes."""
    return replace(HEALTHY, **changes)


def killed(count: int, minutes: float) -> tuple[MemoryKill, ...]:
    """Give pods that were killed for memory."""
    return tuple(MemoryKill(f"webhook-workers-{n}", "worker", at(minutes), 3) for n in range(count))


def said(*texts: str) -> Text:
    """Choose one of these error texts, with a number in it."""
    return lambda rng: rng.choice(texts).replace("#", str(rng.randrange(10_000)))


INCIDENTS: dict[str, Incident] = {
    "a gateway is down": Incident(
        Cause.DEPENDENCY,
        said("TimeoutError: payment-gateway timed out after # ms"),
        "payment-gateway",
        facts={
            "health": Health(healthy=False, note="503", checks={"payment-gateway": "down", "database": "ok"}),
            "workers": HEALTHY,
        },
    ),
    "a gateway is down, and one worker of three died for memory": Incident(
        Cause.DEPENDENCY,
        said("TimeoutError: payment-gateway timed out after # ms"),
        "payment-gateway",
        facts={
            "health": Health(healthy=False, note="503", checks={"payment-gateway": "down"}),
            "workers": workers(restarts=9, memory_kills=killed(1, 80)),
            "rollouts": rollout(92),
        },
    ),
    "a gateway is down, and nobody says so": Incident(
        Cause.DEPENDENCY,
        said("ConnectionError: connection refused by inventory-api port #", "HTTPError: 503 from inventory-api"),
        "inventory-api",
        facts={"rollouts": rollout(2_000)},
    ),
    "a gateway is down while an unrelated rollout is hours old": Incident(
        Cause.DEPENDENCY,
        said("TimeoutError: geo-service timed out after # ms"),
        "geo-service",
        facts={"rollouts": rollout(260), "workers": HEALTHY},
    ),
    "a rollout brought a bug": Incident(
        Cause.ROLLOUT, said("KeyError: 'currency'"), "webhook-workers", facts={"rollouts": rollout(92)}
    ),
    "a rollout brought errors of many kinds": Incident(
        Cause.ROLLOUT,
        said("TypeError: unsupported operand", "AttributeError: no attribute 'total'", "HandlerBroke: step # failed"),
        "webhook-workers",
        facts={"rollouts": rollout(91), "workers": HEALTHY},
    ),
    "a rollout calls a wrong address": Incident(
        Cause.ROLLOUT,
        said("TimeoutError: payment-gateway timed out after # ms"),
        "webhook-workers",
        facts={"rollouts": rollout(92), "health": Health(healthy=True, note="200", checks={"database": "ok"})},
    ),
    "a configuration change": Incident(
        Cause.CONFIGURATION,
        said("HandlerError: no route for region eu-#"),
        facts={
            "commits": (
                Commit("abc1234", at(93), "Ada", "Move regions", config=True),
                Commit("def5678", at(300), "Bob", "Readme"),
            ),
            "config_diff": "-region: eu\n+region: us",
        },
    ),
    "workers run out of memory": Incident(
        Cause.MEMORY,
        said("WorkerLost: worker exited, task # was not finished", "TimeoutError: job exceeded its time limit of # s"),
        facts={"workers": workers(ready=1, restarts=9, memory_kills=killed(3, 85), waiting={"CrashLoopBackOff": 2})},
    ),
    "an image cannot be pulled": Incident(
        Cause.CRASH,
        said("TimeoutError: job # exceeded its time limit"),
        facts={"workers": workers(ready=0, waiting={"ImagePullBackOff": 3}), "rollouts": rollout(95)},
    ),
    "no room for workers": Incident(
        Cause.CAPACITY,
        said("StalledError: job # stalled more than allowable limit"),
        facts={"workers": workers(ready=1, waiting={"Unschedulable: 0/3 nodes: Insufficient cpu": 2})},
    ),
    "somebody scaled the workers to nothing": Incident(
        Cause.CAPACITY,
        said("StalledError: job # stalled more than allowable limit"),
        facts={"workers": workers(desired=0, ready=0)},
    ),
    "a field became a string": Incident(
        Cause.SCHEMA,
        said("ValidationError: amount: expected number, got string at #"),
        body=lambda rng: {"amount": str(rng.randrange(100))},
        facts={"rollouts": rollout(2_000), "workers": HEALTHY},
    ),
    "a producer sends broken JSON": Incident(Cause.CORRUPTION, None, broken=True, facts={"rollouts": rollout(100)}),
    "a rate limit": Incident(
        Cause.RATE_LIMIT, said("HTTPError: 429 Too Many Requests from crm-api"), "crm-api", facts={"workers": HEALTHY}
    ),
    "a token has expired": Incident(
        Cause.CREDENTIALS, said("AuthError: 401 Unauthorized from mail-api, token expired at #"), "mail-api"
    ),
    "the database has deadlocks": Incident(
        Cause.DATABASE,
        said("OperationalError: deadlock detected, process # waits for ShareLock"),
        facts={"health": Health(healthy=False, note="503", checks={"database": "timeout"}), "rollouts": rollout(700)},
    ),
    "a disk is full": Incident(Cause.DISK, said("OSError: [Errno 28] No space left on device: /spool/#")),
}


def messages(incident: Incident, rng: Random, total: int) -> list[bytes]:
    """Make the messages up, newest first: noise over a day, and the incident since it began."""
    found = []
    for number in range(total):
        noise = rng.random() > incident.share
        ago = rng.uniform(0, 1_440 if noise else incident.minutes)
        if incident.broken and not noise:
            found.append((ago, b'{"id": "%d", "failedAt": "%s", ' % (number, at(ago).isoformat().encode())))
            continue
        text = rng.choice(NOISE) if noise or incident.text is None else incident.text(rng)
        body = {"amount": rng.randrange(100)} if noise else incident.body(rng)
        kind = rng.choice(["order.created", "order.paid"])
        message = {"id": f"m{number}", "type": kind, "error": text, "failedAt": at(ago).isoformat(), "payload": body}
        found.append((ago, json.dumps(message).encode()))
    return [raw for _, raw in sorted(found)]


def diagnosed(incident: Incident, seed: int = 1, total: int = 1_500) -> Diagnosis:
    """Let the whole chain run: assessment, sample, ranking."""
    store = MemoryStore()
    store.lists[Place.DLQ] = messages(incident, Random(seed), total)
    queue = MemoryQueue(CONFIG, store)
    facts = Facts(
        assess(queue, CONFIG), samples=sample(queue, CONFIG), own_fields=own_fields(CONFIG.fields), **incident.facts
    )
    return diagnose(facts)


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_true_cause_comes_first(name: str) -> None:
    """On each kind of incident, with its subject where it has one."""
    incident = INCIDENTS[name]
    found = diagnosed(incident)
    assert found.cause is incident.cause, [(guess.cause.value, guess.score, guess.text) for guess in found.hypotheses]
    assert incident.subject in (found.hypotheses[0].subject, "")
    assert found.hypotheses[0].evidence


def test_it_does_not_hang_on_luck() -> None:
    """With other seeds, more noise and fewer messages, at least nine in ten are still right."""
    trials = [
        diagnosed(replace(incident, share=share), seed, 400).cause is incident.cause
        for incident in INCIDENTS.values()
        for seed in (2, 3)
        for share in (0.7, 0.9)
    ]
    assert sum(trials) >= 0.9 * len(trials)


def test_without_evidence_the_answer_is_unknown() -> None:
    """A mixture of old failures has no single cause, and no guess is made up for it."""
    found = diagnosed(Incident(Cause.UNKNOWN, None, share=0.0))
    assert found.cause is Cause.UNKNOWN
    assert found.summary.startswith("unknown")


def test_errors_that_say_nothing_are_unknown() -> None:
    """Nothing around has changed: the text alone names no cause."""
    found = diagnosed(Incident(Cause.UNKNOWN, said("HandlerError: step # failed")))
    assert found.cause is Cause.UNKNOWN


@pytest.mark.parametrize(
    ("minutes", "least", "most"),
    [(0, 1, 1), (4, 1, 1), (-1, 1, 1), (-3, 0, 0), (20, 0.5, 0.7), (90, 0.1, 0.3), (121, 0, 0)],
)
def test_how_well_a_change_fits_a_beginning(minutes: int, least: float, most: float) -> None:
    """What came after the beginning, but for clocks that differ, or hours before it, is not the cause."""
    assert least <= closeness(NOW, NOW + timedelta(minutes=minutes)) <= most


def test_an_empty_queue_is_unknown() -> None:
    """And said to be empty."""
    queue = MemoryQueue(CONFIG)
    assert diagnose(Facts(assess(queue, CONFIG))).summary == "unknown: the DLQ is empty"


def test_the_sentence_of_the_rollout() -> None:
    """It reads as a person would say it."""
    found = diagnosed(INCIDENTS["a rollout calls a wrong address"])
    assert "TimeoutError from payment-gateway, since 11-25 12:3" in found.summary
    assert "after webhook-workers rolled out revision 14: workers:14" in found.summary


def test_the_sentence_of_the_schema() -> None:
    """It names the field, and what it was."""
    found = diagnosed(INCIDENTS["a field became a string"])
    assert "schema mismatch: field `payload.amount` became a string, it was a number" in found.summary


def test_other_causes_stay_in_the_list() -> None:
    """A memory kill and the crash loop that follows it are both told, the kill first."""
    found = diagnosed(INCIDENTS["workers run out of memory"])
    assert [guess.cause for guess in found.hypotheses][:2].count(Cause.MEMORY) == 1
    assert Cause.CRASH in [guess.cause for guess in found.hypotheses]
