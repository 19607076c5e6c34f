"""An operator asks why messages fail, on the command line, with a cluster beside the queue and with nothing at all."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from dlq.actions.book import Book, State
from dlq.brokers.opening import open_notebook
from dlq.config.settings import Settings
from dlq.embedded.redis import EmbeddedRedis
from tests.kubernetes import objects
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.real import kubeconfig_text
from tests.web_fake import web_fake

DLQ = "tokpulse:dlq:webhooks"
WORKERS = "webhook-workers"


@pytest.fixture
def client(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Give a Redis with 300 messages that began to fail just now."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    failed = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    message = {"type": "order", "error": "KeyError: 'currency'", "failedAt": failed}
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        client.lpush(DLQ, *(json.dumps({"id": f"m{number}", **message}) for number in range(300)))
        yield client


@pytest.fixture
def kubernetes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeApi]:
    """Run a cluster whose workers were rolled out just now."""
    api = FakeApi()
    api.add("deployments", objects.deployment(WORKERS, 3))
    with web_fake(api.answer) as web:
        file = tmp_path / "kubeconfig"
        file.write_text(kubeconfig_text(web.url, "admin", objects.NAMESPACE))
        monkeypatch.setenv("DLQ_KUBECONFIG", str(file))
        yield api


def dlq(*arguments: str, status: int = 0) -> dict[str, Any]:
    """Run the command with --json; give the object on its last line."""
    program = Path(sys.executable).with_name("dlq")
    done = subprocess.run(
        [program, *arguments, "--json"], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_cause_with_a_cluster(client: redis.Redis, kubernetes: FakeApi) -> None:
    """The rollout just before is named; nothing has changed in queue or cluster."""
    before = client.lrange(DLQ, 0, -1)
    found = dlq("diagnose", "webhooks")
    assert found["cause"] == "rollout"
    assert found["hypotheses"][0]["subject"] == WORKERS
    assert client.lrange(DLQ, 0, -1) == before
    assert kubernetes.objects["deployments"][WORKERS]["spec"]["replicas"] == 3


def test_the_cause_with_nothing_around(client: redis.Redis) -> None:
    """The errors alone are told, with what is not configured."""
    found = dlq("diagnose", "webhooks")
    assert client.llen(DLQ) == 300
    assert found["cause"] == "code"
    notes = " ".join(found["notes"])
    assert all(name in notes for name in ("DLQ_KUBECONFIG", "DLQ_PROMETHEUS_URL", "DLQ_WORKERS_URL", "DLQ_LOGS"))


def test_undo_puts_workers_back(client: redis.Redis, kubernetes: FakeApi) -> None:
    """A run that died after it scaled: its count from before comes back, and a second undo does nothing."""
    assert client.ping()
    settings = Settings(redis_url=os.environ["DLQ_REDIS_URL"])
    with open_notebook(settings, "webhooks") as notebook:
        Book(notebook, "webhooks-run").intend(f"scale:{WORKERS}", "scale", WORKERS, 3, 10)
    kubernetes.objects["deployments"][WORKERS]["spec"]["replicas"] = 10
    done = dlq("undo", "webhooks-run")
    assert (done["failed"], len(done["actions"])) == (0, 1)
    assert kubernetes.objects["deployments"][WORKERS]["spec"]["replicas"] == 3
    kubernetes.objects["deployments"][WORKERS]["spec"]["replicas"] = 10
    dlq("undo", "webhooks-run")
    assert kubernetes.objects["deployments"][WORKERS]["spec"]["replicas"] == 10
    with open_notebook(settings, "webhooks") as notebook:
        assert Book(notebook, "webhooks-run").actions()[0].state is State.UNDONE


def test_an_undo_that_cannot_be_done_fails(client: redis.Redis, kubernetes: FakeApi) -> None:
    """The cluster has lost the deployment: exit status 1, and the action stays to be undone."""
    assert client.ping()
    settings = Settings(redis_url=os.environ["DLQ_REDIS_URL"])
    with open_notebook(settings, "webhooks") as notebook:
        Book(notebook, "webhooks-run").intend(f"scale:{WORKERS}", "scale", WORKERS, 3, 10)
    del kubernetes.objects["deployments"][WORKERS]
    done = dlq("undo", "webhooks-run", status=1)
    assert "not undone" in done["actions"][0]
