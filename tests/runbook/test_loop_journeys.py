"""The closed loop as an operator meets it: the command on a real Redis, and workers whose truth is known."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import redis

from dlq.brokers.opening import open_notebook, open_queue
from dlq.cli import main
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.bounces import poison
from tests.journey import ends, story
from tests.simworkers import Body, Workers

pytestmark = [pytest.mark.parametrize("flavour", ["redis"], indirect=True), pytest.mark.timeout(120)]
DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"
LOOP = "grace_seconds = 0.4\nstall_seconds = 3\nlag_seconds = 2\npoison_after = 2\n"
ADAPTIVE = ("drain", "webhooks", "--pace", "adaptive", "--yes", "--json")


def dead(number: int) -> bytes:
    """Make a dead letter: of three in turn one timed out, one has no amount, one has a bad date."""
    error = ("TimeoutError: gateway timed out after 30 ms", "KeyError: 'amount'", "ValueError: bad date")[number % 3]
    body = {"id": f"evt_{number}", "type": "webhook", "attempts": 3, "error": error, "failedAt": "2026-11-24T10:00:00Z"}
    return json.dumps(body).encode()


def never(_body: Body) -> bool:
    """Fail nothing."""
    return False


def always(_body: Body) -> bool:
    """Fail everything."""
    return True


def is_poison(body: Body) -> bool:
    """Fail what had no amount: every third."""
    return int(body["id"].removeprefix("evt_")) % 3 == 1


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Fill a Redis with 600 dead letters, and let the command find it with a short grace time."""
    (tmp_path / "dlq.toml").write_text(f"[queues.webhooks.loop]\n{LOOP}", encoding="utf-8")
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    monkeypatch.chdir(tmp_path)
    with redis.Redis.from_url(server.url) as client:
        client.lpush(DLQ, *map(dead, range(600)))
        yield client


@pytest.fixture
def workers(client: redis.Redis, server: EmbeddedRedis) -> Workers:
    """Give workers that fail nothing, not yet at work."""
    assert client.llen(DLQ) == 600
    return Workers(server.url, LIVE, DLQ, never)


def dlq(*words: str, expect: int = 0) -> dict[str, Any]:
    """Run the command in this process and read its last line as JSON."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["dlq", *words])
        patch.setattr("sys.stdin", StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == expect, err.getvalue() + out.getvalue()
    found: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
    return found


def ids(client: redis.Redis, key: str) -> Counter[str]:
    """Count the messages at a key by their id."""
    raws: Any = client.lrange(key, 0, -1)
    return Counter(json.loads(raw)["id"] for raw in raws)


def waves(run: dict[str, Any]) -> list[int]:
    """Count the messages of each wave of a run."""
    settings = load_settings()
    with open_queue(settings, "webhooks") as (broker, _):
        sizes: Counter[int] = Counter()
        for batch in broker.batches(run["run_id"]):
            sizes[batch.wave] += len(batch)
    return [size for _, size in sorted(sizes.items()) if size]


def test_an_outage_that_has_healed(client: redis.Redis, workers: Workers) -> None:
    """All of it is delivered, in a canary and a few growing waves; nothing has to be told."""
    with workers.working():
        run = dlq(*ADAPTIVE)
    assert (run["state"], run["breaker"], run["stopped"]) == ("done", None, [])
    ends(run["run_id"], "delivered", [], "KeyError: <text> 200 0 0 delivered", delivered=600)
    sizes = waves(run)
    assert (sizes[0], sum(sizes)) == (10, 600)
    assert max(sizes) > 80
    assert run["success_rate"] == "not configured"
    assert set(workers.done.values()) == {1}
    assert client.llen(DLQ) == 0


def test_an_outage_that_heals_between_two_drains(client: redis.Redis, workers: Workers) -> None:
    """The first drain is stopped after its canary, exit status 4; the second one delivers all, what bounced too."""
    workers.fails = always
    with workers.working():
        first = dlq(*ADAPTIVE, expect=4)
        assert first["state"] == "tripped"
        ends(
            first["run_id"], "stopped", ["breaker"], "stopped: of all signatures together 10 of 10 bounced", bounced=10
        )
        assert client.llen(DLQ) == 600
        workers.fails = never
        second = dlq(*ADAPTIVE)
    ends(second["run_id"], "delivered", [], delivered=600)
    assert (client.llen(DLQ), set(workers.done.values())) == (0, {1})


def test_an_outage_that_heals_midway(client: redis.Redis, workers: Workers) -> None:
    """Some of the canary fail, then the cause is mended: the drain goes on to the end and keeps to what came back."""
    workers.fails = lambda _body: workers.failed.total() < 3
    with workers.working():
        run = dlq(*ADAPTIVE)
    assert (run["state"], run["breaker"], run["stopped"]) == ("done", None, [])
    ends(run["run_id"], "partial", [], "KeyError: <text> 199 1 0 partial", delivered=597, bounced=3)
    assert ids(client, DLQ) == workers.failed
    assert set(workers.done.values()) == {1}


def test_an_outage_that_begins_midway(client: redis.Redis, workers: Workers) -> None:
    """The workers fail everything from the 150th message on: no more bounces than were on their way, exit status 4."""
    workers.fails = lambda _body: workers.done.total() >= 150
    workers.speed = 200
    with workers.working():
        run = dlq(*ADAPTIVE, expect=4)
    back = run["bounced"]
    assert 4 <= back <= 150
    assert run["state"] == "tripped"
    lines = [*["signature-stopped"] * len(run["stopped"]), "breaker"]
    ends(run["run_id"], "stopped", lines, f"was stopped: {run['breaker']}", delivered=150, bounced=back)
    assert ids(client, DLQ).keys() | workers.done.keys() == {f"evt_{number}" for number in range(600)}


def test_a_poison_type_among_healthy_ones(client: redis.Redis, workers: Workers) -> None:
    """It is stopped alone after its canary, the others are delivered to the end, and what is left of it is in order."""
    workers.fails = is_poison
    with workers.working():
        run = dlq(*ADAPTIVE)
    (halted,) = run["stopped"]
    assert run["state"] == "done"
    said, bounced = f"signature {halted['key']} was stopped: {halted['why']}", halted["bounced"]
    ends(run["run_id"], "partial", ["signature-stopped"], said, delivered=400, bounced=bounced)
    assert 4 <= halted["sent"] == halted["bounced"] == workers.failed.total() <= 20
    left: Any = client.lrange(DLQ, 0, -1)
    untried = [raw for raw in left[::-1] if b"KeyError" in raw]
    assert untried == [dead(number) for number in range(1, 600, 3)][halted["sent"] :]
    assert len(left) == 200


def test_what_bounces_again_and_again_is_put_aside(workers: Workers) -> None:
    """After two bounces in two runs the third run puts it into the quarantine, and tells its history."""
    workers.fails = is_poison
    with workers.working():
        key = dlq(*ADAPTIVE)["stopped"][0]["became"]
        again = dlq(*ADAPTIVE, "--signature", next(iter(key)), expect=4)
        assert again["bounced"] == again["redriven"] > 0
        third = dlq(*ADAPTIVE, "--signature", next(iter(key)), expect=0)
    with open_notebook(load_settings(), "webhooks") as notebook:
        histories = poison(notebook, 2)
    assert {len(history.returns) for history in histories.values()} == {2}
    assert (
        "poison",
        f"{again['bounced']} messages that had bounced were put into the quarantine: 2 times is the limit",
    ) in story(third["run_id"])
    ends(third["run_id"], "bounced", ["poison"], quarantined=again["bounced"], bounced=third["redriven"])


def test_slow_workers(client: redis.Redis, workers: Workers) -> None:
    """They set the pace: what lies in the live queue is worked off in little more than the lag time."""
    workers.speed = 60
    with workers.working():
        run = dlq(*ADAPTIVE)
    ends(run["run_id"], "delivered", [], "done", delivered=600)
    assert workers.longest <= 200
    assert client.llen(DLQ) == 0


def test_dead_workers(client: redis.Redis) -> None:
    """Nobody takes anything: the drain is stopped with the canary in the live queue, and says so."""
    run = dlq(*ADAPTIVE, "--override", "nobody is there", "--settle", "0", expect=4)
    why = "consumers took nothing for 3 s; 10 messages are in the live queue"
    ends(run["run_id"], "stopped", ["override", "breaker"], f"stopped: {why}", pending=10)
    assert client.llen(LIVE) == 10


def test_a_trip_that_withdraws(client: redis.Redis) -> None:
    """The same, with what nobody took taken back: the DLQ is as it was, byte for byte."""
    before = client.lrange(DLQ, 0, -1)
    run = dlq(*ADAPTIVE, "--override", "nobody is there", "--on-trip", "withdraw", "--settle", "0", expect=4)
    assert run["state"] == "rolled_back"
    ends(run["run_id"], "stopped", ["override", "breaker"], "consumers took nothing for 3 s", rolled_back=10)
    assert client.lrange(DLQ, 0, -1) == before
    assert client.llen(LIVE) == 0


def test_a_flood_of_new_failures_during_the_drain(client: redis.Redis, workers: Workers) -> None:
    """What comes in meanwhile is neither drained nor taken for bounces, and stays in the order in which it came."""
    fresh = [json.dumps({**json.loads(dead(number)), "id": f"new_{number}"}).encode() for number in range(3_000)]
    with workers.working(), pouring(client, fresh) as poured:
        run = dlq(*ADAPTIVE)
    before = run["selected"] - 600  # came in before the selection was frozen
    ends(run["run_id"], "delivered", [], delivered=run["selected"])
    left: Any = client.lrange(DLQ, 0, -1)
    assert left[::-1] == fresh[before : len(poured)]
    assert len(left) > 50


@contextmanager
def pouring(client: redis.Redis, messages: list[bytes]) -> Iterator[list[bytes]]:
    """Push messages into the DLQ meanwhile, one every few milliseconds; give those that were."""
    stop, poured = Event(), list[bytes]()

    def pour() -> None:
        for message in messages:
            if stop.wait(0.005):
                return
            client.lpush(DLQ, message)
            poured.append(message)

    thread = Thread(target=pour)
    thread.start()
    try:
        yield poured
    finally:
        stop.set()
        thread.join()


PHASES: dict[str, Callable[[redis.Redis], bool]] = {
    "begun": lambda client: bool(client.exists(f"dlq-drain:{{{DLQ}}}:runs")),
    "the canary is out": lambda client: client.llen(DLQ) == 590,
    "in the middle": lambda client: 0 < int(client.llen(DLQ)) < 450,  # type: ignore[arg-type]
    "all is out": lambda client: int(client.llen(DLQ)) < 220,  # type: ignore[arg-type]
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_drain_is_resumed(client: redis.Redis, workers: Workers, phase: str) -> None:
    """SIGKILL at any phase, then `dlq resume`: as if nothing had happened, the stopped signature too."""
    workers.fails = is_poison
    program = Path(sys.executable).with_name("dlq")
    with workers.working():
        process = subprocess.Popen([program, *ADAPTIVE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not PHASES[phase](client) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        run_id = dlq("runs", "--json")["runs"][0]["run_id"]
        run = dlq("resume", run_id, "--take-over", "--json")
    (halted,) = run["stopped"]
    assert run["state"] == "done"
    said, bounced = f"signature {halted['key']} was stopped: {halted['why']}", halted["bounced"]
    ends(run["run_id"], "partial", ["signature-stopped"], said, delivered=400, bounced=bounced)
    assert halted["sent"] == halted["bounced"] == workers.failed.total()
    assert set(workers.done.values()) == {1}
    assert ids(client, DLQ) == Counter(f"evt_{number}" for number in range(1, 600, 3))
