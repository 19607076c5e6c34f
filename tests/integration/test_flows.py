"""The flows on a real Prefect server and a real Redis: what they move, say, and do when they are retried."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.states import AwaitingRetry

from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.run import run_id_of
from dlq.records.alerts import Alert
from dlq.records.stop import ask
from dlq.records.timeline import timeline
from flows.assess import assess
from flows.drain import drain
from flows.incident import incident
from flows.quarantine import quarantine
from flows.rollback import rollback
from flows.verify import verify
from tasks.waves import watch_wave

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
DLQ, LIVE, QUARANTINE = "tokpulse:dlq:webhooks", "tokpulse:webhooks", "tokpulse:quarantine:webhooks"
FAST = {"pace": "fixed", "pause": 0}


@pytest.fixture
def client(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Give an empty Redis that the flows work on, with reports in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        yield client


def fill(client: redis.Redis, count: int) -> Counter[bytes]:
    """Put messages of two types into the DLQ, the first one oldest, and give their multiset."""
    began = datetime.now(UTC) - timedelta(hours=2)
    messages = [
        json.dumps(
            {
                "id": f"m-{number}",
                "type": ("webhook", "email")[number % 2],
                "error": f"TimeoutError: gateway timed out after {number} ms",
                "retryCount": 5,
                "failedAt": (began + timedelta(seconds=number)).isoformat(),
                "payload": {"n": number},
            }
        ).encode()
        for number in range(count)
    ]
    client.lpush(DLQ, *messages)
    return Counter(messages)


def contents(client: redis.Redis, *keys: str) -> Counter[bytes]:
    """Give the multiset of all messages in the lists."""
    found: Counter[bytes] = Counter()
    for key in keys:
        if client.type(key) == b"list":
            found.update(client.lrange(key, 0, -1))
    return found


def ledger_runs(client: redis.Redis) -> list[str]:
    """Give the ids of all runs in the queue's ledger."""
    return [run.decode() for run in client.zrange(f"dlq-drain:{{{DLQ}}}:runs", 0, -1)]


def attempt(flow: Flow[..., Any], **parameters: Any) -> FlowRun:
    """Create a flow run and let it go to its end, whichever that is."""
    with get_client(sync_client=True) as server:
        created = server.create_flow_run(flow, parameters=flow.validate_parameters(parameters))
    return carry_out(flow, created)


def carry_out(flow: Flow[..., Any], flow_run: FlowRun) -> FlowRun:
    """Execute a flow run as a runner does, and read it again."""
    run_flow(flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
    with get_client(sync_client=True) as server:
        return server.read_flow_run(flow_run.id)


def retry(flow: Flow[..., Any], failed: FlowRun) -> FlowRun:
    """Retry a failed flow run as the button in the Prefect UI does: the same run, set to AwaitingRetry."""
    with get_client(sync_client=True) as server:
        server.set_flow_run_state(failed.id, AwaitingRetry(scheduled_time=datetime.now(UTC)), force=True)
        return carry_out(flow, server.read_flow_run(failed.id))


def test_assess_counts_and_changes_nothing(client: redis.Redis) -> None:
    """The summary has depth, types and severity, and the DLQ is what it was."""
    truth = fill(client, 40)
    (summary,) = assess(queue="webhooks")
    assert (summary["depth"], summary["types"], summary["severity"]) == (40, {"webhook": 20, "email": 20}, "none")
    assert contents(client, DLQ) == truth


def test_a_drain_moves_the_oldest_in_waves(client: redis.Redis) -> None:
    """Three waves of ten take the thirty oldest, byte for byte, and the rest stays in order."""
    fill(client, 50)
    before = client.lrange(DLQ, 0, -1)
    summary = drain(queue="webhooks", batch=10, max_batches=3, **FAST)
    assert (summary["redriven"], summary["pending"], summary["unexplained"]) == (30, 30, 0)
    assert client.lrange(LIVE, 0, -1) == before[20:]
    assert client.lrange(DLQ, 0, -1) == before[:20]


def test_a_drain_obeys_a_stop_between_waves(client: redis.Redis) -> None:
    """Asked while it pauses, the flow ends completed after the waves it did, and the ledger says who and why."""
    fill(client, 30)

    def ask_stop(job: Any, _number: int) -> None:
        with open_notebook(load_settings(), "webhooks") as notebook:
            ask(notebook, job.run_id, "alert resolved", "alertmanager")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.drain.watch_wave", _before_call(2, ask_stop, watch_wave))
        summary = drain(queue="webhooks", batch=5, pause=1, max_batches=0)
    assert (summary["redriven"], summary["state"]) == (10, "done")
    note = client.hget(f"dlq-drain:{{{DLQ}}}:run:{summary['run_id']}", "note")
    assert note == b"stopped by alertmanager: alert resolved"


def test_a_drain_picks_and_edits(client: redis.Redis) -> None:
    """Only the type that was asked for goes, with the field set; everything else stays as it is."""
    fill(client, 20)
    summary = drain(queue="webhooks", types=["email"], set=["retryCount=0"], pace="none")
    moved = [json.loads(message) for message in client.lrange(LIVE, 0, -1)]
    assert summary["redriven"] == len(moved) == 10
    assert {(message["type"], message["retryCount"]) for message in moved} == {("email", 0)}


def test_a_dry_run_moves_nothing_and_leaves_no_run(client: redis.Redis) -> None:
    """It says what would go."""
    truth = fill(client, 20)
    summary = drain(queue="webhooks", older_than="1h", types=["email"], dry_run=True)
    assert (summary["dry_run"], summary["selected"]) == (True, 10)
    assert contents(client, DLQ) == truth
    assert ledger_runs(client) == []


def test_a_pause_keeps_the_lock(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause longer than the lock's time does not lose the queue to anybody."""
    monkeypatch.setenv("DLQ_LOCK_SECONDS", "5")
    fill(client, 4)
    summary = drain(queue="webhooks", batch=2, pause=6)
    assert summary["redriven"] == 4
    assert int(client.get(f"dlq-drain:{{{DLQ}}}:fence")) <= 8


def test_quarantine_takes_what_cannot_be_read(client: redis.Redis) -> None:
    """The corrupted message goes, with its bytes; the healthy ones stay."""
    truth = fill(client, 6)
    client.rpush(DLQ, b"{not json")
    summary = quarantine(queue="webhooks")
    assert summary["quarantined"] == 1
    assert client.lrange(QUARANTINE, 0, -1) == [b"{not json"]
    assert contents(client, DLQ) == truth


def test_a_rollback_brings_back_what_nobody_took(client: redis.Redis) -> None:
    """What a worker took is out of reach; somebody else's message in the live queue stays."""
    truth = fill(client, 10)
    run_id = drain(queue="webhooks", pace="none")["run_id"]
    client.lpush(LIVE, b"fresh")
    taken = client.rpop(LIVE)
    summary = rollback(queue="webhooks", run_id=run_id, reason="made it worse")
    assert (summary["rolled_back"], summary["unexplained"]) == (9, 0)
    assert contents(client, DLQ) + Counter([taken]) == truth
    assert contents(client, LIVE) == Counter([b"fresh"])


def test_verify_sees_what_bounced(client: redis.Redis) -> None:
    """A message that a worker failed again counts as bounced, one that it did counts as delivered."""
    fill(client, 3)
    run_id = drain(queue="webhooks", pace="none")["run_id"]
    again = client.rpop(LIVE)
    client.rpop(LIVE)
    client.lpush(DLQ, again)
    summary = verify(queue="webhooks", run_id=run_id)
    assert (summary["delivered"], summary["bounced"], summary["pending"]) == (1, 1, 1)


def test_an_incident_writes_one_report(client: redis.Redis, tmp_path: Path) -> None:
    """One ledger run, one file, which names the run and holds its plots; the ledger knows where it lies."""
    fill(client, 30)
    summary = incident(queue="webhooks", pace="none", reason="gateway <mended>")
    page = Path(summary["report"]).read_text(encoding="utf-8")
    assert ledger_runs(client) == [summary["run_id"]]
    assert Path(summary["report"]).is_relative_to((tmp_path / "reports").resolve())
    assert summary["conservation"] in page
    assert "gateway &lt;mended&gt;" in page
    assert page.count("data:image/svg+xml") == 4
    assert client.hget(f"dlq-drain:{{{DLQ}}}:run:{summary['run_id']}", "report").decode() == summary["report"]


def test_an_incident_knows_its_alert(client: redis.Redis) -> None:
    """The alert stands in the run's timeline at the moment it began to fire, and says who asked."""
    fill(client, 3)
    since = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    alert = Alert(name="HighDLQDepth", fingerprint="f1", starts_at=since, summary="3 in the DLQ")
    run_id = incident(queue="webhooks", pace="none", alert=alert, override="no workers here")["run_id"]
    with open_notebook(load_settings(), "webhooks") as notebook:
        (first, *_) = timeline(notebook, run_id)
    assert (first.at, first.kind, first.text) == (since, "alert", "HighDLQDepth: 3 in the DLQ (firing)")
    assert client.hget(f"dlq-drain:{{{DLQ}}}:run:{run_id}", "who") == b"alert HighDLQDepth"


def test_an_incident_that_was_called_off_moves_nothing(client: redis.Redis) -> None:
    """The alert resolved while the plan was made: the run is cancelled with that reason, and nobody is asked."""
    truth = fill(client, 30)
    with get_client(sync_client=True) as server:
        parameters = {"queue": "webhooks", "pace": "none"}
        created = server.create_flow_run(incident, parameters=incident.validate_parameters(parameters))
    with open_notebook(load_settings(), "webhooks") as notebook:
        ask(notebook, run_id_of("webhooks", created.created, created.id), "resolved: HighDLQDepth", "alertmanager")
    done = carry_out(incident, created)
    assert state_type(done) == "CANCELLED"
    assert done.state is not None
    assert "stopped by alertmanager: resolved: HighDLQDepth" in (done.state.message or "")
    assert contents(client, DLQ) == truth


@pytest.mark.parametrize("flow", [drain, incident], ids=["drain", "incident"])
def test_a_retry_goes_on_under_the_same_ledger_run(client: redis.Redis, flow: Flow[..., Any]) -> None:
    """A flow run that failed in its middle moves the rest when it is retried: nothing twice, nothing lost."""
    truth = fill(client, 60)
    parameters = {"queue": "webhooks", "pace": "fixed", "batch": 10, "pause": 0.1, "max_batches": 0}

    def break_live(*_args: Any) -> None:
        client.rename(LIVE, "aside")
        client.set(LIVE, "not a list")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.drain.watch_wave", _before_call(3, break_live, watch_wave))
        failed = attempt(flow, **parameters)
    assert state_type(failed) == "FAILED"
    assert contents(client, DLQ, "aside") == truth
    assert len(contents(client, DLQ)) == 30
    client.delete(LIVE)
    client.rename("aside", LIVE)

    done = retry(flow, failed)

    assert (state_type(done), done.id, done.run_count) == ("COMPLETED", failed.id, 2)
    assert contents(client, LIVE) == truth
    assert client.llen(DLQ) == 0
    (run_id,) = ledger_runs(client)
    assert run_id == f"webhooks-{failed.created:%Y-%m-%d-%H%M}-{failed.id.hex[-6:]}"
    assert client.hget(f"dlq-drain:{{{DLQ}}}:run:{run_id}", "redriven") == b"60"


def test_a_retry_after_the_drain_moves_nothing_more(client: redis.Redis) -> None:
    """When only the verification failed, messages that came meanwhile stay in the DLQ."""
    truth = fill(client, 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.drain.verify_run", _at_call(1, lambda *_args: 1 / 0))
        failed = attempt(drain, queue="webhooks", pace="none")
    client.lpush(DLQ, b'{"type": "late"}')
    done = retry(drain, failed)
    assert (state_type(failed), state_type(done)) == ("FAILED", "COMPLETED")
    assert contents(client, LIVE) == truth
    assert contents(client, DLQ) == Counter([b'{"type": "late"}'])


def test_a_wrong_key_type_is_not_retried(client: redis.Redis) -> None:
    """An error that does not pass fails the step at once, and says which key it is about."""
    fill(client, 3)
    client.set(LIVE, "not a list")
    failed = attempt(drain, queue="webhooks", pace="none")
    assert LIVE in (failed.state or State(type="PENDING")).message
    assert failed.total_run_time < timedelta(seconds=5)


def _before_call(number: int, act: Any, step: Any) -> Any:
    """Make a step that acts before its `number`-th call."""
    calls = iter(range(1, 1_000))

    def call(*args: Any) -> Any:
        if next(calls) == number:
            act(*args)
        return step(*args)

    return call


def _at_call(number: int, act: Any) -> Any:
    """Make a step that does nothing but act at its `number`-th call."""
    calls = iter(range(1, 1_000))
    return lambda *args: act(*args) if next(calls) == number else None


def state_type(flow_run: FlowRun) -> str:
    """Name the type of a flow run's state."""
    return flow_run.state.type.value if flow_run.state else "none"
