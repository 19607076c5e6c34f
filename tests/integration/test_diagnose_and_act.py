"""Chapters 2 and 3 as flows: the cause is named, workers are scaled and put back, corrupted messages set aside."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from prefect import flow

from dlq.actions.book import Book, State
from dlq.actions.undo import undo_actions
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.run import Kind, Request, start
from dlq.messages.selectors import Selector
from dlq.records.timeline import Event, timeline
from flows.act import act, take_actions
from flows.diagnose import diagnose
from flows.drain import drain
from flows.incident import incident
from flows.rollback import rollback
from tasks.diagnosing import gather_facts
from tasks.queues import assess_queue
from tests.kubernetes import objects
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.real import kubeconfig_text
from tests.web_fake import Answer, Asked, WebFake, web_fake
from tests.workers_fake import WorkersFake

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
DLQ, QUARANTINE = "tokpulse:dlq:webhooks", "tokpulse:quarantine:webhooks"
WORKERS = "webhook-workers"


@pytest.fixture
def client(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Give an empty Redis that the flows work on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def workers() -> WorkersFake:
    """Give workers with a concurrency of 5."""
    return WorkersFake()


@pytest.fixture
def kubernetes() -> FakeApi:
    """Give a cluster with three workers, which were rolled out just now."""
    api = FakeApi()
    api.add("deployments", objects.deployment(WORKERS, 3))
    return api


@pytest.fixture
def growth() -> dict[str, float]:
    """Say what Prometheus says of the growth; a test may change it."""
    return {"value": 500.0}


@pytest.fixture
def around(
    client: redis.Redis,
    workers: WorkersFake,
    kubernetes: FakeApi,
    growth: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[WebFake]:
    """Run Kubernetes, the workers' API and Prometheus, all configured; give Kubernetes' server."""
    del client

    def prometheus(asked: Asked) -> Answer:
        rows = []
        if "tokpulse_dlq_messages_total" in asked.query["query"]:
            now = datetime.now(UTC).timestamp()
            parts = {"at": now, "value": growth["value"]}
            rows = [{"metric": {"dlq_part": name}, "value": [now, str(value)]} for name, value in parts.items()]
        return Answer(200, {"status": "success", "data": {"resultType": "vector", "result": rows}})

    with web_fake(kubernetes.answer) as web, web_fake(workers.answer) as api, web_fake(prometheus) as metrics:
        (tmp_path / "kubeconfig").write_text(kubeconfig_text(web.url, "admin", objects.NAMESPACE))
        monkeypatch.setenv("DLQ_KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.setenv("DLQ_CLUSTER_TIMEOUT", "0.5")
        monkeypatch.setenv("DLQ_WORKERS_URL", api.url)
        monkeypatch.setenv("DLQ_PROMETHEUS_URL", metrics.url)
        yield web


def fill(client: redis.Redis, count: int, *, corrupted: int = 0) -> None:
    """Put messages into the DLQ that fail two minutes from now, after all that the test does; and some unreadable."""
    failed = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    message = {"type": "order", "error": "KeyError: 'currency'", "failedAt": failed, "payload": {"n": 1}}
    client.lpush(DLQ, *(json.dumps({"id": f"m{number}", **message}) for number in range(count)))
    for number in range(corrupted):
        client.lpush(DLQ, b'{"id": %d, ' % number)


def replicas(kubernetes: FakeApi) -> int:
    """Read the wanted count of the workers."""
    count: int = kubernetes.objects["deployments"][WORKERS]["spec"]["replicas"]
    return count


def test_the_cause_is_named(client: redis.Redis, around: WebFake, kubernetes: FakeApi) -> None:
    """Errors that began just after a rollout: the flow says so, and the timeline of its run too."""
    kubernetes.objects["deployments"][WORKERS]["spec"]["template"]["spec"]["containers"][0]["image"] = "workers:2"
    kubernetes.settle(WORKERS)
    fill(client, 200)
    found = diagnose("webhooks")
    assert found["cause"] == "rollout"
    assert "after webhook-workers rolled out revision 2: workers:2" in found["summary"]
    assert around.asked


def test_a_dry_run_shows_and_changes_nothing(
    client: redis.Redis, around: WebFake, kubernetes: FakeApi, workers: WorkersFake
) -> None:
    """The actions are listed, as they would be taken."""
    fill(client, 5, corrupted=2)
    shown = act("webhooks", dry_run=True)
    assert [row["action"].split(":")[0] for row in shown["actions"]] == [
        "scale webhook-workers to 10",
        "raise the concurrency of the workers to 20",
        "move 2 corrupted messages of webhooks to the quarantine",
    ]
    assert {row["outcome"] for row in shown["actions"]} == {"only shown"}
    assert (replicas(kubernetes), workers.posts, client.llen(QUARANTINE)) == (3, [], 0)
    assert [asked.method for asked in around.asked if asked.method != "GET"] == []


def test_actions_are_taken_told_and_undone(
    client: redis.Redis, around: WebFake, kubernetes: FakeApi, workers: WorkersFake
) -> None:
    """Three workers become ten, a concurrency of 5 becomes 20, corrupted messages move; then all is put back."""
    assert around
    fill(client, 5, corrupted=2)
    done = act("webhooks", dry_run=False)
    assert (replicas(kubernetes), workers.concurrency) == (10, 20)
    assert (client.llen(QUARANTINE), client.llen(DLQ)) == (2, 5)
    assert done["actions"][2]["outcome"] == f"quarantine: done by the run {done['run_id']}-quarantine"
    settings = load_settings()
    with open_notebook(settings, "webhooks") as notebook:
        told = [event.text for event in timeline(notebook, done["run_id"]) if event.kind == "action"]
        assert told == ["scale webhook-workers: 3 → 10, done", "concurrency workers: 5 → 20, done"]
        undone = undo_actions(settings, notebook, settings.queue("webhooks"), done["run_id"], "ada")
    assert [action.state for action in undone] == [State.UNDONE, State.UNDONE]
    assert (replicas(kubernetes), workers.concurrency) == (3, 5)


def test_a_quarantine_that_an_earlier_attempt_began_is_closed(client: redis.Redis, around: WebFake) -> None:
    """Killed after the last corrupted message had moved: the retry finds none, closes the run, and order is kept."""
    assert around
    fill(client, 5, corrupted=2)
    before = [raw for raw in client.lrange(DLQ, 0, -1) if b"type" in raw]
    with open_queue(load_settings(), "webhooks") as (queue, config):
        request = Request(Kind.QUARANTINE, "ada", selector=Selector(corrupted=True))
        start(queue, config, request, "webhooks-1-quarantine").wave(1, 2)
        queue.close()
    client.delete(f"dlq-drain:{{{DLQ}}}:lock")

    @flow
    def again() -> Any:
        return take_actions(
            "webhooks", "webhooks-1", gather_facts("webhooks", assess_queue("webhooks")), "ada", datetime.now(UTC)
        )

    again()
    assert client.llen(QUARANTINE) == 2
    assert client.lrange(DLQ, 0, -1) == before
    with open_queue(load_settings(), "webhooks") as (queue, _):
        record = queue.run("webhooks-1-quarantine")
    assert record is not None
    assert (record.state, record.quarantined) == ("done", 2)


def test_a_rehearsed_incident_moves_and_tells_nothing(
    client: redis.Redis, around: WebFake, kubernetes: FakeApi, workers: WorkersFake
) -> None:
    """Its dry run shows cause, actions and plan; no message, worker or ledger is touched."""
    assert around
    fill(client, 30, corrupted=2)
    before = client.lrange(DLQ, 0, -1)
    shown = incident("webhooks", dry_run=True)
    assert (shown["selected"], len(shown["actions"])) == (30, 3)
    assert shown["plan"]["selected"] == 30
    assert (replicas(kubernetes), workers.posts) == (3, [])
    assert (client.lrange(DLQ, 0, -1), client.llen(QUARANTINE)) == (before, 0)
    assert client.keys("dlq-drain:*:run:webhooks*:batches") == []


def test_a_quiet_queue_is_left_alone(
    client: redis.Redis, around: WebFake, kubernetes: FakeApi, growth: dict[str, float]
) -> None:
    """No action is called for, and none is taken."""
    assert around
    fill(client, 5)
    growth["value"] = 1.0
    assert act("webhooks", dry_run=False)["actions"] == []
    assert replicas(kubernetes) == 3


def test_actions_that_are_not_allowed_are_only_shown(
    client: redis.Redis, around: WebFake, kubernetes: FakeApi, workers: WorkersFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DLQ_ACTIONS names those that a flow takes by itself."""
    assert around
    monkeypatch.setenv("DLQ_ACTIONS", "concurrency")
    fill(client, 5, corrupted=1)
    outcomes = [row["outcome"] for row in act("webhooks", dry_run=False)["actions"]]
    assert outcomes == ["only shown", "concurrency workers: 5 → 20, done", "only shown"]
    assert (replicas(kubernetes), workers.concurrency, client.llen(QUARANTINE)) == (3, 20, 0)


def test_failing_workers_hold_the_drain(client: redis.Redis, around: WebFake, workers: WorkersFake) -> None:
    """The reason is given, and stands in the timeline."""
    assert around
    workers.health = Answer(503, {"status": "error", "checks": {"database": "down"}})
    fill(client, 5)
    done = act("webhooks", dry_run=False)
    assert "database down" in done["hold"][0]
    with open_notebook(load_settings(), "webhooks") as notebook:
        assert "the drain had better wait" in timeline(notebook, done["run_id"])[0].text


def test_a_silent_api_server_stops_nothing(
    client: redis.Redis, around: WebFake, kubernetes: FakeApi, workers: WorkersFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It scales and then says nothing: the other actions go on, and the undo still knows of three workers."""
    assert around
    monkeypatch.setattr("tasks.acting.DELAYS", [])
    kubernetes.silent_after_write = True
    fill(client, 5)
    done = act("webhooks", dry_run=False)
    assert "did not answer" in done["actions"][0]["outcome"]
    assert (replicas(kubernetes), workers.concurrency) == (10, 20)
    kubernetes.silent = kubernetes.silent_after_write = False
    settings = load_settings()
    with open_notebook(settings, "webhooks") as notebook:
        assert Book(notebook, done["run_id"]).actions()[0].state is State.INTENDED
        undo_actions(settings, notebook, settings.queue("webhooks"), done["run_id"], "ada")
    assert (replicas(kubernetes), workers.concurrency) == (3, 5)


def test_an_incident_puts_back_what_it_scaled(
    client: redis.Redis, around: WebFake, kubernetes: FakeApi, workers: WorkersFake
) -> None:
    """It scales at its begin, drains, and leaves as many workers as there were; its report names the cause."""
    assert around
    fill(client, 5)
    state = incident("webhooks", pace="fixed", pause=0, return_state=True)
    told = [(event.kind, event.text) for event in timeline_of(latest_run())]
    assert state.is_completed(), state.message
    assert ("action", "scale webhook-workers: 3 → 10, done") in told
    assert ("action", "scale webhook-workers: 3 → 10, undone: 3 again") in told
    assert "diagnosis" in [kind for kind, _ in told]
    assert (replicas(kubernetes), workers.concurrency) == (3, 5)


def test_a_rollback_stops_the_workers_meanwhile(client: redis.Redis, around: WebFake, kubernetes: FakeApi) -> None:
    """Nobody takes a message while it works; the same number of workers runs afterwards."""
    assert around
    fill(client, 5)
    drain("webhooks", pace="none", reason="a test")
    assert client.llen(DLQ) == 0
    counts = []
    kubernetes.watch = lambda: counts.append((replicas(kubernetes), client.llen(DLQ)))
    rollback("webhooks", latest_run(), stop_workers=True)
    assert counts[0] == (0, 0)
    assert counts[-1] == (3, 5)
    assert client.llen(DLQ) == 5


def latest_run() -> str:
    """Name the newest ledger run."""
    with open_queue(load_settings(), "webhooks") as (broker, _):
        return next(run.run_id for run in broker.runs(10) if run.kind == "drain")


def timeline_of(run_id: str) -> list[Event]:
    """Read the timeline of a run."""
    with open_notebook(load_settings(), "webhooks") as notebook:
        return timeline(notebook, run_id)
