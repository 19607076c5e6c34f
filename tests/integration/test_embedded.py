"""The embedded server: starts, restarts on its port and data, dies when told to, tells what went wrong."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis

from dlq.embedded.redis import EmbeddedRedis
from dlq.errors import EmbeddedServerError
from tests.servers import ServerFactory


def test_it_answers_on_loopback_only(server: EmbeddedRedis) -> None:
    """A started server answers, and listens on 127.0.0.1 alone."""
    listening = [entry.laddr.ip for entry in psutil.Process(server.pid).net_connections() if not entry.raddr]
    assert redis.Redis.from_url(server.url).ping()
    assert listening == ["127.0.0.1"]


def test_a_restart_keeps_port_and_data(private_server: ServerFactory) -> None:
    """With the append-only file on, what was written is there after a kill and a restart."""
    server = private_server(appendonly="yes", appendfsync="always")
    port = server.port
    redis.Redis.from_url(server.url).set("kept", "yes")
    server.kill()
    server.restart()
    assert (server.port, redis.Redis.from_url(server.url).get("kept")) == (port, b"yes")


def test_it_stores_nothing_by_default(private_server: ServerFactory) -> None:
    """Without options nothing is saved, so a restarted server is empty."""
    server = private_server()
    redis.Redis.from_url(server.url).set("gone", "yes")
    server.restart()
    assert redis.Redis.from_url(server.url).dbsize() == 0


def test_options_and_the_password_take_effect(private_server: ServerFactory) -> None:
    """Options are settings of redis.conf, and the address carries the password."""
    server = private_server(requirepass="a:b/c@d", maxmemory_policy="noeviction", maxmemory="64mb")
    settings = redis.Redis.from_url(server.url).config_get("maxmemory*")
    assert (settings["maxmemory"], settings["maxmemory-policy"]) == ("67108864", "noeviction")


def test_closing_leaves_neither_process_nor_folder(private_server: ServerFactory) -> None:
    """After close the process is gone and so is the temporary folder."""
    server = private_server()
    pid, folder = server.pid, server.folder
    server.close()
    assert not psutil.pid_exists(pid)
    assert not folder.exists()


def test_it_takes_another_port_when_the_race_was_lost(
    embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When another server was faster to the chosen port, that one is not taken for ours."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    choices = iter([embedded_server.port, free])
    monkeypatch.setattr("dlq.embedded.redis.free_port", lambda: next(choices))
    with EmbeddedRedis() as server:
        assert server.port == free
        assert redis.Redis.from_url(server.url).info("server")["process_id"] == server.pid


def test_a_bad_option_is_told_from_the_log() -> None:
    """A server that refuses its settings says which, and leaves no process."""
    server = EmbeddedRedis(options={"no_such_setting": 1})
    with pytest.raises(EmbeddedServerError, match="no-such-setting"):
        server.start()
    assert not server.running
    server.close()


def test_a_missing_program_is_a_named_error(tmp_path: Path) -> None:
    """A program that is not there gives the named error."""
    with pytest.raises(EmbeddedServerError, match="No such file"):
        EmbeddedRedis(binary=tmp_path / "absent", folder=tmp_path).start()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_PDEATHSIG is Linux only")
def test_it_ends_with_its_killed_parent(tmp_path: Path) -> None:
    """When the process that started it is killed, the server does not stay behind."""
    script = (
        "import pathlib, sys, time\n"
        "from dlq.embedded.redis import EmbeddedRedis\n"
        "server = EmbeddedRedis(folder=pathlib.Path(sys.argv[1])).start()\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    """Say whether the process runs; an unreaped one in a container without init does not count."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
