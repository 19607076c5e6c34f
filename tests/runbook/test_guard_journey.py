"""An operator meets the guards before a drain: dead consumers, an override, a plan, a person's yes at level 3."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from dlq.admission import approvals
from dlq.admission.plan import make_plan
from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.preview import Preview
from dlq.engine.run import Kind, Request
from dlq.pacing.pace import Pace
from tests.journey import ends, story
from tests.runbook.test_drain_journey import DLQ, LIVE, dlq

pytestmark = pytest.mark.parametrize("flavour", ["redis"], indirect=True)
STRICT = '[policy]\nblind = "refuse"\nlook = "1s"\n'
AT_ONCE = ("--pace", "none", "--settle", "0", "--yes", "--json")


def dead(number: int) -> bytes:
    """Make a dead letter."""
    body = {
        "id": f"evt_{number}",
        "type": "webhook",
        "error": "TimeoutError: 30 ms",
        "failedAt": "2026-11-25T01:00:00Z",
    }
    return json.dumps(body).encode()


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Fill a Redis with 40 dead letters; the policy refuses a blind drain too."""
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dlq.toml").write_text(STRICT)
    with redis.Redis.from_url(server.url) as client:
        client.lpush(DLQ, *map(dead, range(40)))
        yield client


@contextmanager
def a_worker(url: str) -> Iterator[None]:
    """Let a worker take from the live queue as long as the block lasts."""
    over = threading.Event()

    def work() -> None:
        with redis.Redis.from_url(url) as mine:
            while not over.is_set():
                mine.brpop([LIVE], timeout=0.2)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_dead_consumers_refuse(client: redis.Redis) -> None:
    """Nobody waits: status 3, the reason in words, and no message has moved; the check alone says the same."""
    before = client.lrange(DLQ, 0, -1)
    said = dlq("drain", "webhooks", *AT_ONCE, expect=3)["stderr"]
    assert "no client of the broker waits" in said
    assert "override" in said
    assert client.lrange(DLQ, 0, -1) == before
    assert client.exists(LIVE) == 0
    assert dlq("runs", "--json")["runs"] == []
    found = dlq("preflight", "webhooks", "--json", expect=3)
    assert {check["check"]: check["result"] for check in found["checks"]}["consumers"] == "fail"


def test_a_live_queue_that_stands_refuses(client: redis.Redis) -> None:
    """Messages wait in the live queue, and in the time of the look nobody takes one."""
    client.lpush(LIVE, *map(dead, range(100, 105)))
    said = dlq("drain", "webhooks", *AT_ONCE, expect=3)["stderr"]
    assert "5 in the live queue, and nobody took one" in said
    assert client.llen(DLQ) == 40


def test_an_override_is_remembered(client: redis.Redis) -> None:
    """The drain goes on, the warning is told, and ledger and timeline say who overrode what and why."""
    run = dlq("drain", "webhooks", "--override", "workers start at noon", *AT_ONCE)
    assert (run["redriven"], client.llen(LIVE)) == (40, 40)
    facts = client.hgetall(f"dlq-drain:{{{DLQ}}}:run:{run['run_id']}")
    assert facts[b"override"] == b"workers start at noon"
    assert b"no client of the broker" in facts[b"overridden"]
    lines = [text for kind, text in story(run["run_id"]) if kind == "override"]
    assert len(lines) == 1
    assert "workers start at noon" in lines[0]
    ends(run["run_id"], "pending", ["override"], pending=40)


def test_live_consumers_let_it_through(client: redis.Redis, server: EmbeddedRedis) -> None:
    """A worker that waits is evidence enough; a person's word counts as a fix."""
    with a_worker(server.url):
        found = dlq("preflight", "webhooks", "--fixed", "gateway is back", "--json")
        run = dlq("drain", "webhooks", "--pace", "none", "--settle", "10", "--yes", "--json")
    results = {check["check"]: check["result"] for check in found["checks"]}
    assert (results["consumers"], results["fix"], results["memory"], results["health"]) == (
        "pass",
        "pass",
        "pass",
        "unknown",
    )
    ends(run["run_id"], "delivered", [], delivered=40)
    assert (run["redriven"], client.llen(DLQ)) == (40, 0)


def test_a_full_live_queue_refuses(client: redis.Redis, tmp_path: Path) -> None:
    """Over its ceiling nothing is added to it, however alive its consumers are."""
    (tmp_path / "dlq.toml").write_text(STRICT + "[queues.webhooks.loop]\nlive_ceiling = 1\n")
    client.lpush(LIVE, *map(dead, range(100, 110)))
    assert "its ceiling is 1" in dlq("drain", "webhooks", *AT_ONCE, expect=3)["stderr"]
    assert client.llen(DLQ) == 40


def test_level_3_needs_a_person_and_remembers_who(client: redis.Redis, tmp_path: Path) -> None:
    """At a terminal the yes is the approval, kept under the plan's hash; below level 3 there is none."""
    thresholds = "[queues.webhooks.thresholds]\ndepth_warn = 5\ndepth_emergency = 10\n"
    (tmp_path / "dlq.toml").write_text(thresholds)
    plan = dlq("drain", "webhooks", "--pace", "none", "--dry-run", "--json")["plan"]
    assert plan["needs_a_person"] == ["the queue is at level 3"]
    assert (plan["selected"], plan["waves"]) == (40, 1)
    run = dlq("drain", "webhooks", "--reason", "gateway is back", *AT_ONCE)
    facts = client.hgetall(f"dlq-drain:{{{DLQ}}}:run:{run['run_id']}")
    assert facts[b"approved_plan"].decode() == plan["hash"]
    assert b"gateway is back" in facts[b"approval"]
    ends(run["run_id"], "pending", ["approval", "approval"], "reason: gateway is back", pending=40)
    client.lpush(DLQ, *map(dead, range(8)))
    later = dlq("drain", "webhooks", *AT_ONCE)
    assert b"approval" not in client.hgetall(f"dlq-drain:{{{DLQ}}}:run:{later['run_id']}")


def test_a_run_that_waits_is_answered(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's answer stands under the person's name; a second one, of another mind, is told so with status 3."""
    monkeypatch.setenv("DLQ_UI_PORT", "1")
    seen = Preview("webhooks", 40, 40)
    plan = make_plan(seen, Request(Kind.DRAIN, "alert HighDLQDepth", pace=Pace().as_parameters()))
    with open_notebook(load_settings(), "webhooks") as notebook:
        flow_run = "11111111-1111-1111-1111-111111111111"
        approvals.ask(notebook, "webhooks-1", plan, ("level 3",), timedelta(hours=1), flow_run)
    assert "only lower" in dlq("approve", "webhooks-1", "--limit", "50", expect=3)["stderr"]
    said = dlq("approve", "webhooks-1", "--limit", "10", "--reason", "carefully", "--json")
    assert (said["answer"], said["limit"], said["why"], said["woken"]) == ("approve", 10, "carefully", False)
    assert "@" in said["who"]
    late = dlq("approve", "webhooks-1", "--reject", "--json", expect=3)
    assert (late["answer"], late["who"]) == ("approve", said["who"])
    assert client.llen(DLQ) == 40


def test_an_answer_nobody_asked_for_is_refused(client: redis.Redis) -> None:
    """There is nothing to approve."""
    assert "waits for no answer" in dlq("approve", "webhooks-1", expect=3)["stderr"]
    assert client.llen(DLQ) == 40
