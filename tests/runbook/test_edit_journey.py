"""An operator repairs messages on their way: tries it, does it, sees what did not fit, and takes it back."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis

from dlq.cli import main
from dlq.embedded.redis import EmbeddedRedis

DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"
AT_ONCE = ("--pace", "none", "--settle", "0", "--yes", "--json")
ODD = '{"id": "odd",  "type": "webhook", "retryCount": "three", "url": "http://old/é"}'.encode()


def dead(number: int) -> bytes:
    """Make a dead letter with spaces, unicode and a large number, which an edit must not touch."""
    return f'{{"id": "e{number}",  "type": "webhook", "retryCount": {number % 4}, "n": {2**70}, "é": "ü"}}'.encode()


MESSAGES = [*(dead(number) for number in range(40)), ODD]


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> redis.Redis:
    """Fill a Redis with 41 dead letters, one of which has no number to count up."""
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


def test_try_repair_and_take_back(client: redis.Redis) -> None:
    """The preview tells the truth, only what was named changes, and a rollback restores every byte."""
    edit = ("--increment", "retryCount", "--set", 'fixed="yes"')
    seen = dlq("drain", "webhooks", *edit, "--dry-run", "--json")
    assert (seen["selected"], seen["refused"]) == (40, 1)
    assert client.lrange(DLQ, 0, -1)[::-1] == MESSAGES
    run = dlq("drain", "webhooks", *edit, *AT_ONCE)
    assert (run["redriven"], run["edited"], run["kept"], run["unexplained"]) == (40, 40, 1, 0)
    assert client.lrange(DLQ, 0, -1) == [ODD]
    for number, message in enumerate(client.lrange(LIVE, 0, -1)[::-1]):
        before = json.loads(dead(number))
        assert json.loads(message) == {**before, "retryCount": number % 4 + 1, "fixed": "yes"}
    undone = dlq("rollback", run["run_id"], "--yes", "--json")
    assert (undone["rolled_back"], undone["pending"], undone["unexplained"]) == (40, 0, 0)
    assert client.lrange(DLQ, 0, -1)[::-1] == MESSAGES
    assert client.llen(LIVE) == 0


def test_an_edited_message_that_fails_again_is_a_bounce(client: redis.Redis) -> None:
    """It comes back with the edited field and another error, and is still known."""
    run = dlq("drain", "webhooks", "--set", "retryCount=0", "--where", "id=e7", *AT_ONCE)
    taken: Any = client.rpop(LIVE)
    failed = {**json.loads(taken), "attempts": 9, "error": "ValueError: again"}
    client.lpush(DLQ, json.dumps(failed))
    shown = dlq("show", run["run_id"], "--json")
    assert (shown["selected"], shown["bounced"], shown["delivered"], shown["unexplained"]) == (1, 1, 0, 0)


@pytest.mark.parametrize("words", [("--set", "retryCount"), ("--increment", ""), ("--set", "=1")])
def test_an_edit_that_cannot_be_read_moves_nothing(client: redis.Redis, words: tuple[str, str]) -> None:
    """Exit status 2, a word about the edit, and the DLQ as it was."""
    assert dlq("drain", "webhooks", *words, "--yes", expect=2)["stderr"].strip()
    assert client.lrange(DLQ, 0, -1)[::-1] == MESSAGES
    assert client.llen(LIVE) == 0
