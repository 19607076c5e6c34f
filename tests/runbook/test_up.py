"""An operator starts everything with `dlq up`: real processes, killed one by one, all at once, and stopped."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis

from dlq.embedded.redis import free_port
from dlq.up.prefect_api import PrefectApi

pytestmark = pytest.mark.timeout(900)
PATIENCE = 240.0
PORTS = ("DLQ_UI_PORT", "DLQ_RECEIVER_PORT", "DLQ_REDIS_PORT")
NAMES = ("redis", "prefect-server", "deployments", "receiver")
DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"


class Up:
    """One `dlq up --json` in a folder, and what it said."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        """Start it, with a HOME in the same folder, where Prefect would put its own things."""
        self.home = folder / ".dlq"
        self.ports = ports
        env = {name: value for name, value in os.environ.items() if not name.startswith(("DLQ_", "PREFECT_"))}
        self.env = {**env, "HOME": str(folder), **{name: str(port) for name, port in ports.items()}}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dlq", "up", "--json"],
            cwd=folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def said(self, event: str, name: str | None = None) -> list[dict[str, Any]]:
        """Give what was said of an event, of one service or of any."""
        return [one for one in self.events if one["event"] == event and name in {None, one.get("name")}]

    def more_than(self, count: int, event: str, name: str) -> bool:
        """Say whether an event of a service was said more often than that."""
        return len(self.said(event, name)) > count

    def wait(self, done: Callable[[], object]) -> None:
        """Wait until something holds, while it runs."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert self.process.poll() is None, self.events
            assert time.monotonic() < deadline, self.events
            time.sleep(0.1)

    def wait_until_up(self) -> dict[str, Any]:
        """Wait for the addresses."""
        self.wait(lambda: self.said("up"))
        return self.said("up")[0]

    def family(self) -> list[psutil.Process]:
        """Give it and all that it started, and what those started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def end(self) -> None:
        """Stop it whatever happened, and wait for its guard."""
        with suppress(psutil.NoSuchProcess):
            family = self.family()
            self.process.send_signal(signal.SIGTERM)
            psutil.wait_procs(family, timeout=60)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def ports() -> dict[str, int]:
    """Choose a free port for each server."""
    return {name: free_port() for name in PORTS}


@pytest.fixture
def start(tmp_path: Path, ports: dict[str, int]) -> Iterator[Callable[[], Up]]:
    """Start `dlq up` in the test's folder, as often as asked."""
    started: list[Up] = []

    def one() -> Up:
        started.append(Up(tmp_path, ports))
        return started[-1]

    yield one
    for up in started:
        up.end()


def all_gone(family: list[psutil.Process]) -> bool:
    """Wait until processes have ended; those that nobody reaps here count."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family if _there(one)):
            return True
        time.sleep(0.2)
    return False


def _there(one: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(one.status())
    return False


def listens(port: int) -> bool:
    """Say whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def letters(count: int) -> list[bytes]:
    """Make dead letters."""
    failed = datetime.now(UTC).isoformat()
    return [
        json.dumps({"id": f"m-{n}", "type": "webhook", "error": "TimeoutError: late", "failedAt": failed}).encode()
        for n in range(count)
    ]


def test_everything_survives_its_parts_and_stops_clean(start: Callable[[], Up], tmp_path: Path) -> None:
    """Addresses answer, each killed program comes back, data stays, and SIGTERM leaves nothing behind."""
    up = start()
    said = up.wait_until_up()
    assert {Path(said["home"]), Path(said["logs"]).parent} == {tmp_path / ".dlq"}
    assert httpx.get(said["ui"], timeout=30).status_code == httpx.codes.OK
    assert Path(said["token_file"]).stat().st_mode & 0o777 == 0o600
    with redis.Redis(port=up.ports["DLQ_REDIS_PORT"]) as client:
        client.lpush(DLQ, *letters(3))
    command = [sys.executable, "-m", "dlq", "status", "--json"]
    status = subprocess.run(command, cwd=tmp_path, env=up.env, capture_output=True, text=True, check=True)
    assert '"depth": 3' in status.stdout, "another command in the folder finds the embedded Redis"
    for name in NAMES:
        before = len(up.said("ready", name))
        pids = {one["name"]: one["pid"] for one in up.said("ready")}
        os.kill(pids[name], signal.SIGKILL)
        up.wait(partial(up.more_than, before, "ready", name))
        assert up.said("died", name)[-1]["how"] == "ended with signal SIGKILL"
    with redis.Redis(port=up.ports["DLQ_REDIS_PORT"]) as client:
        assert client.llen(DLQ) == 3
    family = up.family()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(timeout=90) == 0
    assert up.said("stopped")
    assert all_gone(family)
    assert not any(listens(port) for port in up.ports.values())
    assert not (tmp_path / ".prefect").exists()
    assert not (tmp_path / ".dlq" / "up.json").exists()


def test_a_run_that_lost_its_process_goes_on_with_the_next_start(start: Callable[[], Up]) -> None:
    """SIGKILL of `dlq up` ends all of its processes; the next start finds the queue, and the drain goes on."""
    up = start()
    up.wait_until_up()
    before = letters(40)
    with redis.Redis(port=up.ports["DLQ_REDIS_PORT"]) as client:
        client.lpush(DLQ, *before)
        api = PrefectApi(up.ports["DLQ_UI_PORT"])
        asked = {"queue": "webhooks", "pace": "fixed", "batch": 10, "pause": 2, "max_batches": 0}
        run = api.create_flow_run(api.deployment("drain/drain", 10, lambda: None), "mine", asked)
        up.wait(lambda: client.llen(LIVE) >= 10)
    family = up.family()
    up.process.kill()
    assert all_gone(family)
    with suppress(subprocess.TimeoutExpired):
        up.process.wait(timeout=10)
    again = start()
    again.wait_until_up()
    assert any(one.get("flow_run") == run and one["state"] == "SCHEDULED" for one in again.said("warning"))
    again.wait(lambda: api.state(run).ended)
    assert api.state(run).type == "COMPLETED"
    with redis.Redis(port=up.ports["DLQ_REDIS_PORT"]) as client:
        assert sorted(client.lrange(LIVE, 0, -1)) == sorted(before)
        assert client.llen(DLQ) == 0
    schedules = api.call("GET", "/deployments/name/depth-report/nightly")
    assert len(schedules["schedules"]) == 1, "a second start does not double a schedule"
    assert not schedules["paused"]


def test_a_second_one_in_the_same_home_is_refused(start: Callable[[], Up], tmp_path: Path) -> None:
    """It says which process holds the home, and ends with status 3; the first one does not notice."""
    up = start()
    up.wait(lambda: up.said("starting"))
    ran = subprocess.run(
        [sys.executable, "-m", "dlq", "up"], cwd=tmp_path, env=up.env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 3
    assert f"process {up.process.pid}" in ran.stderr
    assert "DLQ_HOME" in ran.stderr
    assert up.process.poll() is None


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path, ports: dict[str, int]) -> None:
    """The message names the port and the setting, status 3, and no data folder of a server is there."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports["DLQ_RECEIVER_PORT"]))
        other.listen()
        env = {**os.environ, **{name: str(port) for name, port in ports.items()}}
        ran = subprocess.run(
            [sys.executable, "-m", "dlq", "up"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
    assert ran.returncode == 3
    assert f"Port {ports['DLQ_RECEIVER_PORT']}" in ran.stderr
    assert "DLQ_RECEIVER_PORT" in ran.stderr
    assert not (tmp_path / ".dlq" / "redis").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_stops_what_is_there(start: Callable[[], Up], number: signal.Signals) -> None:
    """Ctrl-C while Prefect is still starting ends with status 0 and leaves nothing."""
    up = start()
    up.wait(lambda: up.said("ready", "redis"))
    family = up.family()
    up.process.send_signal(number)
    assert up.process.wait(timeout=90) == 0
    assert all_gone(family)


def test_it_goes_with_its_terminal(tmp_path: Path, ports: dict[str, int]) -> None:
    """When the terminal is closed, nothing stays behind."""
    env = {**os.environ, "HOME": str(tmp_path), **{name: str(port) for name, port in ports.items()}}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-m", "dlq", "up"], env)  # noqa: S606 - this is the test
    deadline = time.monotonic() + PATIENCE
    shown = b""
    while b"Redis is up" not in shown:
        assert time.monotonic() < deadline, shown
        shown += os.read(terminal, 1024)
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    assert len(family) > 2
    os.close(terminal)
    os.waitpid(pid, 0)
    assert all_gone(family)
