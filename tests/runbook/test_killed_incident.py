"""An operator's incident is killed in each of its phases, and goes on when it is retried from the UI."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed

from dlq.embedded.redis import EmbeddedRedis
from flows.incident import incident
from tests.integration.test_flows import DLQ, LIVE, contents, fill, ledger_runs, retry, state_type
from tests.journey import ends, heard, story

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]

KILLED = """
import importlib, os, signal, sys
from uuid import UUID
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
module, step, after, flow_run = sys.argv[1:]
place = importlib.import_module(module)
work = getattr(place, step)
def killed(*args, **more):
    if after == "after":
        work(*args, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, step, killed)
from flows.incident import incident
with get_client(sync_client=True) as server:
    run = server.read_flow_run(UUID(flow_run))
run_flow(incident, flow_run=run, parameters=run.parameters, return_type="state")
"""
TOLD = ["40 messages in the DLQ of webhooks, severity none", "webhooks: waiting for the workers"]
PHASES = [
    ("flows.incident", "assess_before", "after"),
    ("flows.admission", "look_before", "after"),
    ("flows.admission", "plan_run", "after"),
    ("flows.drain", "begin_run", "before"),
    ("flows.drain", "begin_run", "after"),
    ("flows.drain", "drain_wave", "after"),
    ("flows.drain", "watch_wave", "after"),
    ("flows.drain", "finish_run", "after"),
    ("flows.incident", "verify_run", "after"),
    ("flows.incident", "write_report", "after"),
]


@pytest.fixture
def client(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Give an empty Redis, with settings that the killed process sees too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        yield client


@pytest.mark.parametrize(("module", "step", "when"), PHASES, ids=[f"{when}-{step}" for _, step, when in PHASES])
def test_a_kill_in_any_phase_is_gone_on_with(
    client: redis.Redis, tmp_path: Path, module: str, step: str, when: str
) -> None:
    """Each message moves once, under one ledger run, with one pre-flight, and people hear each thing once."""
    truth = fill(client, 40)
    parameters = {"queue": "webhooks", "pace": "fixed", "batch": 15, "pause": 0, "max_batches": 0}
    with get_client(sync_client=True) as server:
        run = server.create_flow_run(incident, parameters=incident.validate_parameters(parameters))
    command = [sys.executable, "-c", KILLED, module, step, when, str(run.id)]
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value()}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2_000:]
    assert contents(client, DLQ, LIVE) == truth
    with get_client(sync_client=True) as server:  # as the runner does when a process ends like that
        server.set_flow_run_state(run.id, Crashed(), force=True)
        crashed = server.read_flow_run(run.id)

    done = retry(incident, crashed)

    assert state_type(done) == "COMPLETED"
    assert contents(client, LIVE) == truth
    assert client.llen(DLQ) == 0
    (run_id,) = ledger_runs(client)
    assert run_id == f"webhooks-{run.created or datetime.now(UTC):%Y-%m-%d-%H%M}-{run.id.hex[-6:]}"
    ends(run_id, "pending", ["diagnosis", "follow-up"], "drain of webhooks by prefect, done", pending=40)
    assert [kind for kind, _ in story(run_id)].count("preflight") == 1
    assert list(dict.fromkeys(heard(run_id))) == TOLD
    (report,) = (tmp_path / "reports").glob("*.html")
    assert "40 messages lay in the DLQ of webhooks" in report.read_text()
    assert client.exists(f"dlq-drain:{{{DLQ}}}:lock") == 0
