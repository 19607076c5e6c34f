"""The same journeys where the queues are in a Redis Cluster or in RabbitMQ: by the command, and by the flows."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.receiver import exporter
from dlq.brokers.base import Place
from dlq.config.settings import load_settings
from flows.assess import assess
from flows.incident import incident
from flows.rollback import rollback
from flows.verify import verify
from tests.integration.conformance import KEYS, Desk, RabbitDesk, open_desk
from tests.messages import dead_letters
from tests.runbook.test_drain_journey import AT_ONCE, dlq

LETTERS = dead_letters(120)
WEBHOOKS, EMAILS = LETTERS[::2], LETTERS[1::2]
BROKEN = b"\xff{not json"


@pytest.fixture(params=["cluster", "rabbit"])
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    """Fill the DLQ with 120 dead letters of two types and one that cannot be read, and let the command find it."""
    desk = open_desk(request.param, request)
    if isinstance(desk, RabbitDesk):
        monkeypatch.setenv("DLQ_BROKER_URL", desk.rabbit.url)
        monkeypatch.setenv("DLQ_REDIS_URL", desk.redis_url)
    else:
        monkeypatch.setenv("DLQ_REDIS_URL", desk.url)  # type: ignore[attr-defined]
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    (tmp_path / "dlq.toml").write_text("[queues.webhooks]\n", encoding="utf-8")  # RabbitMQ does not have the others
    monkeypatch.chdir(tmp_path)
    desk.put(*LETTERS, BROKEN)
    yield desk
    desk.close()


def look(desk: Desk, place: Place = Place.DLQ) -> list[bytes]:
    """Read a list anew, oldest first: RabbitMQ's adapter keeps what it has looked at until the depth is asked for."""
    desk.queue.depth(place)
    return desk.show(place)


def test_look_drain_quarantine_and_take_back(desk: Desk) -> None:
    """Status, peek, assess, a drain of one type, its bounces, the quarantine, the rollback: each number adds up."""
    status = next(queue for queue in dlq("status", "--json")["queues"] if queue["queue"] == "webhooks")
    assert (status["depth"], status["live"], status["quarantine"]) == (121, 0, 0)
    assert [seen["id"] for seen in dlq("peek", "webhooks", "--count", "3", "--json")["messages"]] == [
        "m-0",
        "m-1",
        "m-2",
    ]
    seen = dlq("assess", "webhooks", "--json")
    assert (seen["depth"], seen["types"]) == (121, {"webhook": 60, "email": 60, "": 1})
    assert look(desk) == [*LETTERS, BROKEN]
    run = dlq("drain", "webhooks", "--type", "email", "--reason", "gateway is back", "--override", "a test", *AT_ONCE)
    assert (run["redriven"], run["kept"], run["pending"], run["unexplained"]) == (60, 61, 60, 0)
    assert look(desk, Place.LIVE) == EMAILS
    assert desk.take(40) == EMAILS[:40]
    desk.put(*EMAILS[:10])
    seen = dlq("show", run["run_id"], "--json")
    assert (seen["delivered"], seen["bounced"], seen["pending"], seen["unexplained"]) == (30, 10, 20, 0)
    aside = dlq("quarantine", "webhooks", "--corrupted", "--yes", "--json")
    assert (aside["quarantined"], look(desk, Place.QUARANTINE)) == (1, [BROKEN])
    undone = dlq("rollback", run["run_id"], "--yes", "--json")
    assert (undone["rolled_back"], undone["unexplained"]) == (20, 0)
    assert Counter(look(desk)) == Counter([*WEBHOOKS, *EMAILS[:10], *EMAILS[40:]])
    assert look(desk, Place.LIVE) == []
    assert [found["state"] for found in dlq("runs", "--json")["runs"]][-1] == "rolled_back"


def test_a_drain_that_was_killed_is_resumed(desk: Desk) -> None:
    """SIGKILL between two waves; `dlq resume` does the rest, and every message is in the live queue, once."""
    words = ("drain", "webhooks", "--batch", "10", "--pause", "1", "--max-batches", "0", "--settle", "0", "--yes")
    command = [sys.executable, "-m", "dlq", *words, "--override", "a test"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as drain:
        while not desk.queue.depth(Place.LIVE) and drain.poll() is None:
            time.sleep(0.05)
        time.sleep(0.3)  # into the pause
        os.kill(drain.pid, signal.SIGKILL)
    (run,) = dlq("runs", "--json")["runs"]
    assert run["state"] == "running"
    done = dlq("resume", run["run_id"], "--take-over", "--settle", "0", "--json")
    assert (done["state"], done["redriven"], done["unexplained"]) == ("done", 120, 0)
    assert look(desk, Place.LIVE) == LETTERS
    assert look(desk) == [BROKEN]


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")  # Prefect's server warns by itself
def test_an_incident_and_its_rollback_as_flows(desk: Desk) -> None:
    """The flows assess, drain, report, verify and take back there as they do on one Redis."""
    (summary,) = assess(queue="webhooks")
    assert (summary["depth"], summary["types"]) == (121, {"webhook": 60, "email": 60, "": 1})
    done: dict[str, Any] = incident(
        queue="webhooks", pace="fixed", batch=50, pause=0, max_batches=0, override="a test", reason="gateway is back"
    )
    assert (done["redriven"], done["pending"], done["unexplained"]) == (120, 120, 0)
    assert desk.take(100) == LETTERS[:100]
    assert Path(done["report"]).is_file()
    seen = verify(queue="webhooks", run_id=done["run_id"])
    assert (seen["delivered"], seen["pending"], seen["unexplained"]) == (100, 20, 0)
    undone = rollback(queue="webhooks", run_id=done["run_id"])
    assert undone["rolled_back"] == 20
    assert Counter(look(desk)) == Counter(LETTERS[100:])
    assert look(desk, Place.QUARANTINE) == [BROKEN]  # the incident has put it aside


def test_a_scrape_counts_and_takes_nothing(desk: Desk) -> None:
    """Where looking means taking, /metrics leaves out what it would have to look for, and touches no message."""
    (reading,) = asyncio.run(exporter.read_all(load_settings()))
    assert reading.sample is not None
    assert reading.sample.depth == 121
    if isinstance(desk, RabbitDesk):
        assert (reading.sample.oldest, reading.corrupted) == (None, None)
        assert not desk.channel.basic_get(KEYS[Place.DLQ])[0].redelivered
    else:
        assert reading.sample.oldest is not None
        assert reading.corrupted == 1


def test_a_demo_without_its_broker_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is started, and the exit status is that of a wrong argument."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dlq.demo.ground.find_rabbitmq", lambda: None)
    assert "apt-get install rabbitmq-server" in dlq("demo", "--broker", "rabbitmq", expect=2)["stderr"]
    assert "redis-cluster" in dlq("demo", "--broker", "kafka", expect=2)["stderr"]
