"""An operator's first night: look, drain a signature, see it, take it back; all through the command."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from dlq.embedded.redis import EmbeddedRedis

DLQ, LIVE, QUARANTINE = "tokpulse:dlq:webhooks", "tokpulse:webhooks", "tokpulse:quarantine:webhooks"
CAUSES = ("TimeoutError: gateway timed out after 30%03d ms", "KeyError: 'amount_%d'")


def messages(count: int = 400) -> list[bytes]:
    """Make dead letters of two types and two failures; each fiftieth cannot be read."""
    made = []
    for number in range(count):
        error = CAUSES[number % 2] % number
        body = {"id": f"evt_{number}", "type": ("webhook", "email")[number // 2 % 2], "attempts": 3, "error": error}
        raw = json.dumps({**body, "failedAt": f"2026-11-23T10:{number % 60:02d}:00Z", "retryCount": 3}).encode()
        made.append(raw[:-9] if number % 50 == 0 else raw)
    return made


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> redis.Redis:
    """Fill a Redis with 400 dead letters, and let the command find it by its settings."""
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    monkeypatch.chdir(tmp_path)
    client = redis.Redis.from_url(server.url)
    client.lpush(DLQ, *messages())
    return client


def dlq(*words: str, expect: int = 0) -> dict[str, Any]:
    """Run the command and read its last line; an exit status other than `expect` fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "dlq", *words], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == expect, done.stderr
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {"stderr": done.stderr}


def everything(client: redis.Redis) -> list[bytes]:
    """All messages in all three lists."""
    return sorted(message for key in (DLQ, LIVE, QUARANTINE) for message in client.lrange(key, 0, -1))


@pytest.mark.usefixtures("client")
def test_assess_says_what_failed() -> None:
    """Types, signatures and corruption are counted."""
    found = dlq("assess", "webhooks", "--json")
    assert found["depth"] == 400
    assert found["corrupted"] == {"invalid JSON": 8}
    assert sum(seen["count"] for seen in found["signatures"]) == 400
    assert len(found["signatures"]) == 5


def test_drain_moves_byte_for_byte_and_leaves_the_corrupted(client: redis.Redis) -> None:
    """Everything readable reaches the live queue, oldest first, with its bytes; nothing is unexplained."""
    result = dlq("drain", "webhooks", "--pace", "none", "--yes", "--json", "--settle", "0")
    readable = [message for number, message in enumerate(messages()) if number % 50]
    assert client.lrange(LIVE, 0, -1)[::-1] == readable
    assert (result["redriven"], result["pending"], result["kept"], result["unexplained"]) == (392, 392, 8, 0)


def test_selected_edited_and_taken_back(client: redis.Redis) -> None:
    """An edited drain of one type changes what was asked, and a rollback restores the original bytes."""
    before = everything(client)
    words = ("--type", "email", "--set", "retryCount=0", "--pace", "none", "--yes", "--json", "--settle", "0")
    result = dlq("drain", "webhooks", *words)
    live = [json.loads(message) for message in client.lrange(LIVE, 0, -1)]
    assert {message["type"] for message in live} == {"email"}
    assert {message["retryCount"] for message in live} == {0}
    undone = dlq("rollback", result["run_id"], "--yes", "--json")
    assert undone["rolled_back"] == result["redriven"] == len(live)
    assert client.llen(LIVE) == 0
    assert everything(client) == before


def test_the_fixed_pace_stops_after_its_batches(client: redis.Redis) -> None:
    """Two batches of 50 are 100 messages, the oldest."""
    words = ("--batch", "50", "--pause", "0", "--max-batches", "2", "--yes", "--json", "--settle", "0")
    result = dlq("drain", "webhooks", *words)
    assert result["redriven"] == client.llen(LIVE) == 100


def test_quarantine_takes_the_corrupted_and_gives_them_back(client: redis.Redis) -> None:
    """Corrupted messages go to quarantine, and a rollback brings them home."""
    before = everything(client)
    result = dlq("quarantine", "webhooks", "--corrupted", "--yes", "--json")
    assert result["quarantined"] == client.llen(QUARANTINE) == 8
    dlq("rollback", result["run_id"], "--yes", "--json")
    assert client.llen(QUARANTINE) == 0
    assert everything(client) == before


def test_a_bounced_message_is_told_from_a_delivered_one(client: redis.Redis) -> None:
    """Workers take all; one message fails again with other attempts and another error: one bounce."""
    result = dlq("drain", "webhooks", "--pace", "none", "--yes", "--json", "--settle", "0")
    taken = client.rpop(LIVE, 392)
    failed = {**json.loads(taken[7]), "attempts": 4, "error": "ValueError: other", "failedAt": "2026-11-24T01:00:00Z"}
    client.lpush(DLQ, json.dumps(failed))
    shown = dlq("show", result["run_id"], "--json")
    assert (shown["delivered"], shown["bounced"], shown["pending"], shown["unexplained"]) == (391, 1, 0, 0)


def test_a_dry_run_moves_nothing(client: redis.Redis) -> None:
    """Counts come back, and every list is as it was."""
    before = everything(client)
    seen = dlq("drain", "webhooks", "--error", "Timeout", "--dry-run", "--json")
    assert seen["selected"] == 192
    assert everything(client) == before
    assert client.llen(LIVE) == 0


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("drain", "nowhere", "--yes"), 2),
        (("drain", "webhooks", "--error", "(", "--yes"), 2),
        (("drain", "webhooks", "--older-than", "soon", "--yes"), 2),
        (("drain", "webhooks"), 2),
        (("show", "webhooks-no-such-run"), 2),
    ],
)
def test_bad_arguments_end_with_2_and_move_nothing(client: redis.Redis, words: tuple[str, ...], status: int) -> None:
    """What cannot be done is refused with a message, before anything moves."""
    said = dlq(*words, expect=status)
    assert said["stderr"].strip()
    assert "Traceback" not in said["stderr"]
    assert client.llen(DLQ) == 400


def test_a_live_key_of_another_type_leaves_the_dlq_whole(client: redis.Redis) -> None:
    """The drain fails with the key's name, and works once the key is gone, as the same run."""
    client.set(LIVE, "something else")
    said = dlq("drain", "webhooks", "--pace", "none", "--yes", expect=1)
    assert LIVE in said["stderr"]
    assert client.llen(DLQ) == 400
    client.delete(LIVE)
    run = dlq("runs", "--json")["runs"][0]["run_id"]
    assert dlq("resume", run, "--json", "--settle", "0")["redriven"] == 392


def test_a_second_drain_is_refused(client: redis.Redis) -> None:
    """Who holds the queue, and since when, is said; exit status 3."""
    client.hset(
        "dlq-drain:{tokpulse:dlq:webhooks}:lock", mapping={"run": "r-7", "who": "ada", "since": "1790000000000"}
    )
    said = dlq("drain", "webhooks", "--yes", expect=3)
    assert "r-7" in said["stderr"]
    assert "ada" in said["stderr"]
    assert client.llen(DLQ) == 400
