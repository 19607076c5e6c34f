"""The loop as a flow: by its outcome, killed at each of its steps and retried as from the UI, stopped, withdrawn."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL

from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.records.timeline import timeline
from flows.drain import drain
from tests.integration.test_flows import attempt, retry, state_type
from tests.simworkers import Body, Workers

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"
PARAMETERS = {"queue": "webhooks", "pace": "adaptive"}


def dead(number: int) -> bytes:
    """Make a dead letter: even ones timed out, odd ones have no amount."""
    error = ("TimeoutError: gateway timed out after 30 ms", "KeyError: 'amount'")[number % 2]
    body = {"id": f"evt_{number}", "type": "webhook", "attempts": 3, "error": error, "failedAt": "2026-11-24T10:00:00Z"}
    return json.dumps(body).encode()


def is_odd(body: Body) -> bool:
    """Fail what has no amount."""
    return int(body["id"].removeprefix("evt_")) % 2 == 1


@pytest.fixture
def workers(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Workers]:
    """Fill a Redis with 300 dead letters, and give workers that fail half of them, not yet at work."""
    (tmp_path / "dlq.toml").write_text(
        "[queues.webhooks.loop]\ngrace_seconds = 0.4\nstall_seconds = 3\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        client.lpush(DLQ, *map(dead, range(300)))
        yield Workers(embedded_server.url, LIVE, DLQ, is_odd)


def kept_and_done(workers: Workers) -> Counter[str]:
    """Count by id what lies in the DLQ and what was processed well: each message is in one of them, once."""
    with redis.Redis.from_url(workers.url) as client:
        raws: Any = client.lrange(DLQ, 0, -1)
    return Counter(json.loads(raw)["id"] for raw in raws) + workers.done


def kinds(run_id: str) -> list[str]:
    """Read the kinds of a run's timeline, without the pre-flight."""
    with open_notebook(load_settings(), "webhooks") as notebook:
        return [event.kind for event in timeline(notebook, run_id) if event.kind not in {"preflight", "override"}]


def data(flow_run: FlowRun) -> dict[str, Any]:
    """Read the summary that a flow run ended with."""
    found: dict[str, Any] = flow_run.state.result() if flow_run.state else {}  # type: ignore[union-attr]
    return found


def test_a_drain_goes_by_its_outcome(workers: Workers) -> None:
    """The healthy half is delivered, the poisoned one stopped alone: partial; waves and outcomes are tasks by name."""
    with workers.working():
        done = attempt(drain, **PARAMETERS)
    assert done.state is not None
    assert (state_type(done), done.state.name) == ("COMPLETED", "Partial")
    assert "1 signatures stopped: " in (done.state.message or "")
    assert workers.done.total() == 150
    assert 4 <= workers.failed.total() <= 20
    assert set(kept_and_done(workers).values()) == {1}
    with get_client(sync_client=True) as server:
        tasks = server.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[done.id])))
    names = {task.name for task in tasks}
    assert {"look before the first wave", "wave 1", "outcome of wave 1", "wave 2"} <= names


@pytest.mark.parametrize(
    ("step", "nth", "when"),
    [
        ("begin_run", 1, "after"),
        ("first_step", 1, "after"),
        ("drain_wave", 1, "after"),
        ("watch_wave", 1, "after"),
        ("drain_wave", 3, "before"),
        ("finish_run", 1, "before"),
        ("finish_run", 1, "after"),
    ],
)
def test_a_killed_flow_is_retried(workers: Workers, step: str, nth: int, when: str) -> None:
    """SIGKILL around each step, then Retry: the same run goes on; nothing is lost, doubled or counted twice."""
    with get_client(sync_client=True) as server:
        created = server.create_flow_run(drain, parameters=drain.validate_parameters(PARAMETERS))
    command = [sys.executable, "-m", "tests.integration.flow_killer", step, str(nth), when, str(created.id)]
    root = Path(__file__).parents[2]
    environment = os.environ | {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PYTHONPATH": str(root)}
    with workers.working():
        killed = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=120)
        assert killed.returncode == -signal.SIGKILL, killed.stderr[-2_000:]
        with get_client(sync_client=True) as server:
            done = retry(drain, server.read_flow_run(created.id))
    assert done.state is not None
    assert (state_type(done), done.state.name, done.id) == ("COMPLETED", "Partial", created.id)
    assert set(workers.done.values()) == {1}
    assert workers.done.total() == 150
    assert set(kept_and_done(workers).values()) == {1}
    assert 4 <= workers.failed.total() <= 20
    run_id = f"webhooks-{created.created:%Y-%m-%d-%H%M}-{created.id.hex[-6:]}"
    assert kinds(run_id) == ["signature-stopped"]


def test_a_drain_that_trips_takes_back_what_nobody_took(workers: Workers) -> None:
    """Nobody is there: the flow ends as stopped by the breaker, and the DLQ is as it was."""
    with redis.Redis.from_url(workers.url) as client:
        before = client.lrange(DLQ, 0, -1)
        done = attempt(drain, **PARAMETERS, on_trip="withdraw", override="to see what the loop does")
        assert done.state is not None
        assert (state_type(done), done.state.name) == ("COMPLETED", "Stopped")
        assert "consumers took nothing" in (done.state.message or "")
        assert client.lrange(DLQ, 0, -1) == before
        assert client.llen(LIVE) == 0
