"""The ways to a Redis beside redis://HOST: with TLS, and through sentinels."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from dlq.brokers.base import Place
from dlq.brokers.opening import open_queue
from dlq.config.settings import load_settings
from dlq.embedded.cluster import SLOTS, ask, until
from dlq.embedded.redis import EmbeddedRedis, free_port
from dlq.engine.run import Kind, Request, Run, start
from dlq.engine.sift import Wave
from dlq.errors import BrokerUnreachableError, ConfigError
from dlq.pacing.drive import drive
from dlq.pacing.pace import Mode, Pace
from dlq.records.ledger import RunRecord
from tests.certificates import make_certificates
from tests.integration.conformance import CONFIG, letter
from tests.servers import find_redis_server, missing, new_server

LETTERS = [letter(number) for number in range(60)]


def drain(on_wave: Callable[[Run, Wave], None] | None = None) -> tuple[RunRecord, list[bytes]]:
    """Drain by the settings, in waves of 20; give the run and the live queue, oldest first."""
    with open_queue(load_settings(), "webhooks") as (queue, config):
        request = Request(Kind.DRAIN, "ada")
        pace = Pace(Mode.NONE, 20, 0.0, 0)
        record = drive(lambda: start(queue, config, request, "r1"), pace, time.sleep, on_wave or (lambda _r, _w: None))
        return record, queue.read(Place.LIVE, 0, 1_000).result()


def by_tls(files: dict[str, Path], port: int) -> dict[str, str | int]:
    """Give the settings of a server that speaks TLS at a port."""
    return {
        "tls-port": port,
        "tls-cert-file": str(files["cert"]),
        "tls-key-file": str(files["key"]),
        "tls-ca-cert-file": str(files["ca"]),
        "tls-auth-clients": "no",
    }


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[EmbeddedRedis, str, Path]]:
    """Start a server that speaks TLS too, with 60 dead letters; give it, its address and the authority's file."""
    files = make_certificates(tmp_path)
    port = free_port()
    with new_server("redis", **by_tls(files, port)) as server:
        with redis.Redis.from_url(server.url) as client:
            client.lpush(CONFIG.dlq, *LETTERS)
        yield server, f"rediss://127.0.0.1:{port}/0", files["ca"]


def test_a_drain_by_tls(secure: tuple[EmbeddedRedis, str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's certificate is checked against the authority that the address names."""
    _, url, authority = secure
    monkeypatch.setenv("DLQ_REDIS_URL", f"{url}?ssl_ca_certs={authority}")
    record, live = drain()
    assert (record.state, live) == ("done", LETTERS)


def test_a_drain_in_a_cluster_by_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password and an authority in the address hold for each node that the cluster names, too."""
    files, port = make_certificates(tmp_path), free_port()
    more = {"cluster-enabled": "yes", "cluster-port": free_port(), "tls-cluster": "yes", "requirepass": "hunter2"}
    with new_server("redis", **by_tls(files, port), **more) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            until(lambda: b"cluster_state:ok" in ask(server, "CLUSTER", "INFO"))
            client.lpush(CONFIG.dlq, *LETTERS)
        url = f"rediss-cluster://:hunter2@127.0.0.1:{port}?ssl_ca_certs={files['ca']}"
        monkeypatch.setenv("DLQ_REDIS_URL", url)
        record, live = drain()
    assert (record.state, live) == ("done", LETTERS)


def test_a_certificate_of_a_stranger_is_refused(
    secure: tuple[EmbeddedRedis, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the authority nothing is sent, and the message says that the certificate is why."""
    server, url, _ = secure
    monkeypatch.setenv("DLQ_REDIS_URL", url)
    refused = pytest.raises(BrokerUnreachableError, match=r"(?i)certificate")
    with open_queue(load_settings(), "webhooks") as (queue, _), refused:
        queue.depth(Place.DLQ)
    with redis.Redis.from_url(server.url) as client:
        assert client.llen(CONFIG.dlq) == len(LETTERS)


@contextmanager
def sentinel(folder: Path, master: EmbeddedRedis) -> Iterator[int]:
    """Run one sentinel that watches a master by the name `main`; give its port."""
    port = free_port()
    config = folder / "sentinel.conf"
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor main 127.0.0.1 {master.port} 1",
        "sentinel down-after-milliseconds main 1000",
        "sentinel failover-timeout main 5000",
    ]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (folder / "sentinel.log").open("wb") as log:
        program = find_redis_server() or missing("redis-server")
        process = subprocess.Popen([program, config, "--sentinel"], stdout=log, stderr=log)
        try:
            with redis.Redis(port=port) as client:
                until(lambda: _knows_a_replica(client))
            yield port
        finally:
            process.terminate()
            process.wait()


def offset(server: EmbeddedRedis, name: str) -> int:
    """Give how far a server is with the replication."""
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("replication")[name])


def _knows_a_replica(client: redis.Redis) -> bool:
    try:
        return bool(client.sentinel_slaves("main"))
    except redis.RedisError:
        return False


def test_a_drain_goes_on_where_the_sentinels_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The master dies between two waves: its replica becomes the master, and the run is finished there."""
    with ExitStack() as stack:
        master = stack.enter_context(new_server("redis", repl_diskless_sync_delay=0))
        replica = stack.enter_context(
            new_server("redis", replicaof=f"127.0.0.1 {master.port}", repl_diskless_sync_delay=0)
        )
        client = stack.enter_context(redis.Redis.from_url(master.url))
        until(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        port = stack.enter_context(sentinel(tmp_path, master))
        client.lpush(CONFIG.dlq, *LETTERS)
        monkeypatch.setenv("DLQ_REDIS_URL", f"redis-sentinel://127.0.0.1:{port}/main")

        def lose_the_master(_run: Run, wave: Wave) -> None:
            if wave.number == 1:
                with redis.Redis.from_url(master.url) as last, redis.Redis.from_url(replica.url) as other:
                    until(
                        lambda: (
                            last.info("replication")["master_repl_offset"]
                            <= other.info("replication")["slave_repl_offset"]
                        )
                    )
                master.kill()

        record, live = drain(lose_the_master)
        assert (record.state, live) == ("done", LETTERS)
        with redis.Redis.from_url(replica.url) as new_master:
            assert new_master.info("replication")["role"] == "master"


def test_a_sentinel_address_without_a_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how it is written."""
    monkeypatch.setenv("DLQ_REDIS_URL", "redis-sentinel://127.0.0.1:26379")
    with pytest.raises(ConfigError, match="NAME"), open_queue(load_settings(), "webhooks"):
        pass
