"""An operator drains a signature through the command, watches it bounce, and takes the rest back."""

import json
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis

from dlq.cli import main
from dlq.embedded.redis import EmbeddedRedis

DLQ, LIVE, QUARANTINE = "tokpulse:dlq:webhooks", "tokpulse:webhooks", "tokpulse:quarantine:webhooks"
AT_ONCE = ("--pace", "none", "--settle", "0", "--yes", "--json")


def dead(number: int, **more: object) -> bytes:
    """Make a dead letter: even ones timed out, odd ones have no amount."""
    error = ("TimeoutError: gateway timed out after 30 ms", "KeyError: 'amount'")[number % 2]
    return json.dumps({"id": f"evt_{number}", "type": "webhook", "attempts": 3, "error": error, **more}).encode()


MESSAGES = [dead(number) for number in range(120)]


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> redis.Redis:
    """Fill a Redis with 120 dead letters of two failures, and let the command find it."""
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    monkeypatch.chdir(tmp_path)
    client = redis.Redis.from_url(server.url)
    client.lpush(DLQ, *MESSAGES)
    return client


def dlq(*words: str, expect: int = 0) -> dict[str, Any]:
    """Run the command in this process and read its last line as JSON, or what it said on stderr."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["dlq", *words])
        patch.setattr("sys.stdin", StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == expect, err.getvalue()
    lines = out.getvalue().strip().splitlines()
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {"stderr": err.getvalue()}
    return found


def test_drain_watch_and_take_back(client: redis.Redis) -> None:
    """Assess, drain one failure, see deliveries and bounces, roll the pending ones back: each number adds up."""
    keys = {seen["signature"]: seen["key"] for seen in dlq("assess", "webhooks", "--json")["signatures"]}
    timeouts = next(key for text, key in keys.items() if "TimeoutError" in text)
    run = dlq("drain", "webhooks", "--signature", timeouts, "--reason", "gateway is back", *AT_ONCE)
    assert (run["redriven"], run["pending"], run["kept"]) == (60, 60, 60)
    assert client.lrange(LIVE, 0, -1)[::-1] == MESSAGES[::2]
    assert client.lrange(DLQ, 0, -1)[::-1] == MESSAGES[1::2]
    client.rpop(LIVE, 40)
    client.lpush(DLQ, *(dead(number, attempts=4, error="ValueError: new") for number in range(0, 20, 2)))
    seen = dlq("show", run["run_id"], "--json")
    assert (seen["delivered"], seen["bounced"], seen["pending"], seen["unexplained"]) == (30, 10, 20, 0)
    assert seen["reason"] == "gateway is back"
    undone = dlq("rollback", run["run_id"], "--yes", "--json")
    assert (undone["rolled_back"], undone["rollback"]["out_of_reach"], undone["unexplained"]) == (20, 40, 0)
    assert client.lrange(DLQ, 0, -1)[::-1][:20] == MESSAGES[80::2]
    after = dlq("show", run["run_id"], "--json")
    assert (after["delivered"], after["bounced"], after["rolled_back"], after["state"]) == (30, 10, 20, "rolled_back")


def test_limits_and_waves_take_the_oldest(client: redis.Redis) -> None:
    """Two drains with a limit, in small waves, take the oldest sixty in order, and the rest stays as it was."""
    for limit in ("25", "35"):
        words = ("--limit", limit, "--batch", "10", "--pause", "0", "--settle", "0", "--yes", "--json")
        assert dlq("drain", "webhooks", *words)["redriven"] == int(limit)
    assert client.lrange(LIVE, 0, -1)[::-1] == MESSAGES[:60]
    assert client.lrange(DLQ, 0, -1)[::-1] == MESSAGES[60:]
    assert [run["selected"] for run in dlq("runs", "--json")["runs"]] == [35, 25]


def test_a_running_drain_is_asked_to_stop(client: redis.Redis, tmp_path: Path) -> None:
    """Another process asks; the drain ends within its pause, says who and why, and the rest stays in order."""
    words = ("drain", "webhooks", "--batch", "10", "--pause", "1", "--max-batches", "0", "--settle", "0", "--yes")
    program = Path(sys.executable).with_name("dlq")
    with subprocess.Popen([program, *words, "--json"], stdout=subprocess.PIPE, cwd=tmp_path) as process:
        while not client.llen(LIVE):
            time.sleep(0.05)
        run_id = dlq("runs", "--json")["runs"][0]["run_id"]
        assert dlq("stop", run_id, "--reason", "gateway is down again", "--json")["why"] == "gateway is down again"
        out, _ = process.communicate(timeout=60)
    run = json.loads(out.splitlines()[-1])
    assert (process.returncode, run["state"], run["unexplained"]) == (0, "done", 0)
    assert 10 <= run["redriven"] < 120
    assert client.lrange(DLQ, 0, -1)[::-1] == MESSAGES[run["redriven"] :]
    assert "already" in dlq("stop", run_id, expect=3)["stderr"]


@pytest.mark.parametrize("key", [DLQ, LIVE, QUARANTINE])
def test_a_stranger_among_the_keys_ends_with_1(client: redis.Redis, key: str) -> None:
    """One of the keys is no list: nothing is moved, and the message names the key."""
    before = client.lrange(DLQ, 0, -1)
    client.delete(key)
    client.set(key, "stranger")
    command = ("quarantine", "webhooks", "--yes") if key == QUARANTINE else ("drain", "webhooks", "--yes")
    assert key in dlq(*command, expect=1)["stderr"]
    assert client.get(key) == b"stranger"
    if key != DLQ:
        assert client.lrange(DLQ, 0, -1) == before
        assert client.exists(LIVE, QUARANTINE) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("drain", "nowhere", "--yes"), "webhooks"),
        (("drain", "webhooks", "--error", "(", "--yes"), "regular expression"),
        (("drain", "webhooks", "--older-than", "soon", "--yes"), "soon"),
        (("drain", "webhooks", "--pace", "none", "--pause", "3", "--yes"), "--pause"),
        (("drain", "webhooks", "--limit", "0", "--yes"), "--limit"),
        (("drain", "webhooks"), "--yes"),
        (("quarantine", "webhooks"), "--yes"),
        (("resume", "webhooks-no-such-run"), "dlq runs"),
        (("rollback", "webhooks-no-such-run", "--yes"), "dlq runs"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(client: redis.Redis, words: tuple[str, ...], said: str) -> None:
    """The message says what to write instead, and every list is as it was."""
    assert said in dlq(*words, expect=2)["stderr"]
    assert client.lrange(DLQ, 0, -1)[::-1] == MESSAGES
    assert client.keys("*") == [DLQ.encode()]


def test_no_server_ends_with_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing listens: the message names the setting."""
    monkeypatch.setenv("DLQ_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.chdir(tmp_path)
    assert "DLQ_REDIS_URL" in dlq("assess", "webhooks", expect=1)["stderr"]
