"""The demo in somebody's own Redis: it begins only where it is in nobody's way, and says why not."""

from pathlib import Path

import pytest
import redis

from dlq.embedded.redis import EmbeddedRedis, free_port
from tests.runbook.test_operator_errors import dlq


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> redis.Redis:
    """Give a Redis that the demo is told to use, and an empty folder."""
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    monkeypatch.chdir(tmp_path)
    return redis.Redis.from_url(server.url)


def test_lists_that_somebody_has_are_not_touched(client: redis.Redis) -> None:
    """The keys are named, the exit status says refused, and what lay there lies there."""
    client.lpush("tokpulse:dlq:jobs", "mine")
    assert "keys tokpulse:dlq:jobs" in dlq("demo", expect=3)
    assert client.lrange("tokpulse:dlq:jobs", 0, -1) == [b"mine"]
    assert client.keys() == [b"tokpulse:dlq:jobs"]


def test_a_key_of_another_type_is_named(client: redis.Redis) -> None:
    """It is somebody else's as well."""
    client.set("tokpulse:jobs", "mine")
    assert "should be a list" in dlq("demo", expect=1)
    assert client.get("tokpulse:jobs") == b"mine"


@pytest.mark.usefixtures("client")
def test_a_redis_that_is_not_there_is_named() -> None:
    """With its address, without a traceback; no server was started."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    said = dlq("demo", expect=1, DLQ_REDIS_URL=url)
    assert url in said
    assert "does not answer" in said
