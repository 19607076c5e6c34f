"""What an operator reads when Redis or the arguments are wrong: one clear line, the right exit status, nothing lost."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from dlq.embedded.cluster import EmbeddedCluster
from dlq.embedded.redis import EmbeddedRedis
from tests.messages import dead_letters
from tests.runbook.test_drain_journey import DLQ, LIVE, dlq
from tests.servers import ServerFactory

LETTERS = dead_letters(60)
DRAIN = ("drain", "webhooks", "--pace", "none", "--yes", "--settle", "0")
LOOKING = (("status",), ("peek", "webhooks"), ("assess", "webhooks"), (*DRAIN, "--dry-run"), ("runs",))
WORKING = (DRAIN, ("quarantine", "webhooks", "--yes"))


@pytest.fixture
def flavour() -> str:
    """Use redis-server only: the errors are the client's and the server's protocol's."""
    return "redis"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, where no dlq.toml lies."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """Fill a Redis with 60 dead letters, and let the command find it by its settings."""
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    with redis.Redis.from_url(server.url) as client:
        client.lpush(DLQ, *LETTERS)
        yield client


def refused(*words: str, status: int = 1) -> str:
    """Run the command, and give the last line of its complaint."""
    told = dlq(*words, expect=status)["stderr"].strip()
    assert "Traceback" not in told
    return str(told.splitlines()[-1])


def letters(client: redis.Redis, key: str = DLQ) -> list[bytes]:
    """Read a list, the oldest message first."""
    found: list[bytes] = client.lrange(key, 0, -1)[::-1]  # type: ignore[index]
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("assess", "nowhere"), "known experiments, jobs, webhooks"),
        (("drain", "nowhere", "--yes"), "known experiments, jobs, webhooks"),
        (("quarantine", "nowhere", "--yes"), "[queues.NAME]"),
        (("drain", "webhooks", "--yes", "--where", "x"), "FIELD=VALUE"),
        (("drain", "webhooks", "--yes", "--where", "a..b=1"), "error.message"),
        (("drain", "webhooks", "--yes", "--set", "retryCount"), "FIELD=VALUE"),
        (("drain", "webhooks", "--yes", "--limit", "0"), "--limit"),
        (("drain", "webhooks", "--yes", "--pace", "fast"), "--pace"),
        (("drain", "webhooks", "--yes", "--error", "("), "'('"),
        (("drain", "webhooks", "--yes", "--older-than", "soon"), "soon"),
        (("rollback", "webhooks-no-such-run", "--yes"), "dlq runs"),
        (("resume", "webhooks-no-such-run"), "dlq runs"),
        (("stop", "webhooks-no-such-run"), "dlq runs"),
        (("nonsense",), "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_arguments_are_named(client: redis.Redis, words: tuple[str, ...], said: str) -> None:
    """The argument, or what to write instead, is in the last line; exit status 2; nothing moves."""
    assert said in refused(*words, status=2)
    assert letters(client) == LETTERS


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DLQ_REDIS_URL", "http://localhost", "redis://"),
        ("DLQ_REDIS_URL", "redis://localhost:door", "port is a number"),
        ("DLQ_CONFIG", "/no/such/dlq.toml", "/no/such/dlq.toml"),
    ],
)
def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str) -> None:
    """Which one, and what it should be; exit status 2."""
    monkeypatch.setenv(variable, value)
    told = refused("status", status=2)
    assert variable in told
    assert said in told


@pytest.mark.parametrize("text", ["[queues.webhooks]\nbroken", "[queues.webhooks]\nlife = 'a'"])
def test_a_broken_file_of_settings_is_named(tmp_path: Path, text: str) -> None:
    """With the place in it; exit status 2."""
    (tmp_path / "dlq.toml").write_text(text)
    assert "dlq.toml" in refused("status", status=2)


@pytest.mark.parametrize("key", [DLQ, LIVE])
def test_a_key_of_another_type_is_named(client: redis.Redis, key: str) -> None:
    """Looking and working end with its name and what to do; the stranger and the lists stay."""
    client.delete(key)
    client.set(key, "stranger")
    said = dlq("status", "--json", expect=1)["failed"]["webhooks"]
    for told in (said, refused("assess", "webhooks"), refused(*DRAIN)):
        assert key in told
        assert "dlq.toml" in told
    assert client.get(key) == b"stranger"
    assert letters(client) == LETTERS if key == LIVE else client.exists(LIVE) == 0


def test_a_queue_that_cannot_be_looked_at_hides_no_other(client: redis.Redis) -> None:
    """The status names it and shows the others; its exit status says that something is wrong."""
    client.set("tokpulse:jobs", "no list")
    seen = dlq("status", "--json", expect=1)
    assert [row["queue"] for row in seen["queues"]] == ["webhooks", "experiments"]
    assert "tokpulse:jobs" in seen["failed"]["jobs"]


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting that names the server is in the line."""
    monkeypatch.setenv("DLQ_REDIS_URL", "redis://127.0.0.1:1/0")
    for words in (*LOOKING, *WORKING):
        assert "DLQ_REDIS_URL" in refused(*words)


def test_wrong_credentials(private_server: ServerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are set is said; what was given and what is right are not."""
    server = private_server(requirepass="right-horse")
    with redis.Redis.from_url(server.url) as client:
        client.lpush(DLQ, *LETTERS)
        for login in (":wrong-battery@", ""):
            monkeypatch.setenv("DLQ_REDIS_URL", f"redis://{login}127.0.0.1:{server.port}/0")
            for words in (*LOOKING, *WORKING):
                told = refused(*words)
                assert "password in DLQ_REDIS_URL" in told
                assert "battery" not in told
        assert letters(client) == LETTERS


def test_a_user_without_the_right_to_write(private_server: ServerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking works; a drain says which right is missing, and moves nothing."""
    server = private_server()
    with redis.Redis.from_url(server.url) as client:
        client.lpush(DLQ, *LETTERS)
        client.execute_command(
            "ACL", "SETUSER", "reader", "on", ">sesame", "~*", "+@read", "+@connection", "+@scripting", "+info"
        )
        monkeypatch.setenv("DLQ_REDIS_URL", f"redis://reader:sesame@127.0.0.1:{server.port}/0")
        assert dlq("assess", "webhooks", "--json")["depth"] == 60
        assert "user's rights" in refused(*WORKING[1])
        assert letters(client) == LETTERS


def test_a_read_only_replica(private_server: ServerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking works there; working says to use the primary."""
    primary = private_server(repl_diskless_sync_delay=0)
    replica = private_server(replicaof=f"127.0.0.1 {primary.port}")
    monkeypatch.setenv("DLQ_REDIS_URL", replica.url)
    with redis.Redis.from_url(primary.url) as client, redis.Redis.from_url(replica.url) as copy:
        client.lpush(DLQ, *LETTERS)
        client.wait(1, 10_000)
        for words in LOOKING:
            dlq(*words, "--json")
        for words in WORKING:
            assert "primary" in refused(*words)
        assert letters(copy) == LETTERS


def test_a_full_server_in_the_middle_of_a_drain(private_server: ServerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drain ends with what to do; with room again the same run is resumed, each message once and in order."""
    server = private_server(maxmemory_policy="noeviction")
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    with redis.Redis.from_url(server.url) as client:
        client.lpush(DLQ, *LETTERS)
        slowly = ("drain", "webhooks", "--batch", "5", "--pause", "1", "--max-batches", "0", "--yes", "--settle", "0")
        drain = subprocess.Popen([sys.executable, "-m", "dlq", *slowly], stderr=subprocess.PIPE, env=dict(os.environ))
        while not client.llen(LIVE):
            time.sleep(0.02)
        client.config_set("maxmemory", "1mb")
        told = drain.communicate()[1].decode()
        assert drain.returncode == 1
        assert "maxmemory" in told.splitlines()[-1]
        assert sorted(letters(client) + letters(client, LIVE)) == sorted(LETTERS)
        client.config_set("maxmemory", 0)
        run = dlq("runs", "--json")["runs"][0]["run_id"]
        assert dlq("resume", run, "--take-over", "--json", "--settle", "0")["redriven"] == 60
        assert letters(client, LIVE) == LETTERS


def test_a_cluster_that_is_called_by_the_address_of_one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys lie in different slots, and the line says how a cluster is named."""
    with (
        EmbeddedCluster() as cluster,
        closing(redis.RedisCluster.from_url(f"redis://127.0.0.1:{cluster.nodes[0].port}")) as client,
    ):
        client.lpush(DLQ, *LETTERS)
        monkeypatch.setenv("DLQ_REDIS_URL", f"redis://127.0.0.1:{client.get_node_from_key(DLQ).port}/0")
        assert "redis-cluster://" in refused(*WORKING[0])
        assert letters(client) == LETTERS
