"""What an operator reads when the server, the settings or the arguments are not as they should be."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis

from tests.servers import ServerFactory

DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"
LETTERS = [
    b'{"id":%d,"type":"email","error":"boom","attempts":3,"failedAt":"2026-11-23T10:00:00Z"}' % n for n in range(20)
]
DRAIN = ("drain", "webhooks", "--yes", "--pace", "none", "--settle", "0")


@pytest.fixture
def client(private_server: ServerFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> redis.Redis:
    """Give a server of the test's own with 20 dead letters, and let the command find it."""
    server = private_server(busy_reply_threshold=100)
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    monkeypatch.chdir(tmp_path)
    client = redis.Redis.from_url(server.url)
    client.lpush(DLQ, *LETTERS)
    return client


def dlq(*words: str | bytes, expect: int = 0, **settings: str) -> str:
    """Run the command and give all that it said; a traceback or another exit status fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "dlq", *words], capture_output=True, check=False, env=os.environ | settings
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == expect, said
    assert "Traceback" not in said
    return said


def whole(client: redis.Redis) -> None:
    """Check that nothing was moved and nobody holds the queue."""
    assert client.lrange(DLQ, 0, -1)[::-1] == LETTERS
    assert client.llen(LIVE) == 0
    assert not client.exists(f"dlq-drain:{{{DLQ}}}:lock")


@pytest.mark.parametrize(
    ("setting", "wrong", "right", "named"),
    [
        ("min-replicas-to-write", 1, 0, "NOREPLICAS"),
        ("maxmemory", "1mb", 0, "maxmemory"),
    ],
)
def test_a_server_that_takes_no_writes_is_named(
    client: redis.Redis, setting: str, wrong: object, right: object, named: str
) -> None:
    """With the reason and the next step; nothing has begun, and later the same command does its work."""
    client.config_set(setting, wrong)
    said = dlq(*DRAIN, expect=1)
    assert named in said
    assert "try again" in said
    whole(client)
    client.config_set(setting, right)
    dlq(*DRAIN)
    assert client.lrange(LIVE, 0, -1)[::-1] == LETTERS


def test_a_server_that_cannot_save_is_named(client: redis.Redis) -> None:
    """Redis refuses writes when its last snapshot failed: the error says that it is the disk."""
    said = client.config_get("*")
    file = Path(said["dir"]) / said["dbfilename"]
    file.unlink(missing_ok=True)
    (file / "full").mkdir(parents=True)  # a snapshot cannot take the place of a folder with something in it
    client.config_set("save", "3600 1")
    client.bgsave()
    while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
        time.sleep(0.05)
    said = dlq(*DRAIN, expect=1)
    assert "save to its disk" in said
    whole(client)


def test_a_server_that_is_held_by_a_script_is_named_once(client: redis.Redis) -> None:
    """By its address, with what ends the script; it is not said again for each queue."""
    other = redis.Redis.from_url(os.environ["DLQ_REDIS_URL"], socket_timeout=120)

    def hold() -> None:
        with pytest.raises(redis.ResponseError):
            other.eval("while true do end", 0)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        while True:
            try:
                client.ping()
            except redis.ResponseError:
                break
        said = dlq("status", expect=1)
        assert dlq(*DRAIN, expect=1).count("SCRIPT KILL") == 1
    finally:
        client.script_kill()
        thread.join()
        other.close()
    assert said.count("SCRIPT KILL") == 1
    assert os.environ["DLQ_REDIS_URL"] in said
    whole(client)


@pytest.mark.parametrize(
    ("ending", "named"),
    [
        ("?decode_responses=true", "decode_responses"),
        ("?foo=1", "foo"),
        ("?socket_timeout=soon", "socket_timeout"),
        ("/one", "database"),
    ],
)
def test_an_address_with_an_impossible_option_is_refused(client: redis.Redis, ending: str, named: str) -> None:
    """Before anything is connected to; one that redis-py would pass over (a database of letters) is not passed over."""
    url = os.environ["DLQ_REDIS_URL"].removesuffix("/0")
    said = dlq(*DRAIN, expect=2, DLQ_REDIS_URL=url + ending)
    assert "DLQ_REDIS_URL" in said
    assert named in said
    whole(client)


def test_a_reason_that_is_no_text_is_refused(client: redis.Redis) -> None:
    """Its bytes could not be kept in the ledger; the option is named, and the queue is not held."""
    assert "--reason is not UTF-8" in dlq(*DRAIN, "--reason", b"\xff\xfe", expect=2)
    whole(client)


def test_a_misspelt_setting_is_told_with_the_right_name(client: redis.Redis) -> None:
    """Once, without its value; a variable of somebody else's is no business of ours."""
    said = dlq("runs", DLQ_REDISURL="redis://:sesame@nowhere/", DLQ_TABLE="other", DLQ_REDIS_PORT="")
    assert said.count("did you mean DLQ_REDIS_URL?") == 1
    assert "sesame" not in said
    assert "DLQ_TABLE" not in said
    whole(client)


def test_a_run_that_has_ended_is_shown_by_resume(client: redis.Redis) -> None:
    """Somebody whose last answer was lost asks to resume: it is done, and this is its result."""
    dlq(*DRAIN)
    run = client.zrange(f"dlq-drain:{{{DLQ}}}:runs", 0, -1)[0].decode()
    said = dlq("resume", run)
    assert f"run {run} is done already" in said
    assert "20 selected = 0 delivered + 0 bounced + 20 pending" in said
    assert '"unexplained": 0' in dlq("resume", run, "--json")


def test_the_status_finds_the_oldest_failure_behind_a_corrupted_message(client: redis.Redis) -> None:
    """How many of unknown age lie before it is said; where there are only such, that."""
    client.rpush(DLQ, b"{broken", b"{broken too")
    assert "2026-11-23 10:00:00Z, after 2 undated" in dlq("status")
    client.delete(DLQ)
    client.rpush(DLQ, b"{broken")
    assert "unknown: 1 undated" in dlq("status")
