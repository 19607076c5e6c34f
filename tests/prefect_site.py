"""A Prefect server and a process that serves every deployment, as an installation has them, for tests from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

READY_SECONDS = 180.0  # a busy machine takes its time
HOST = "127.0.0.1"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def free_port() -> int:
    """Find a free loopback port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class PrefectSite:
    """Starts both at entry and stops them by process id at exit; their logs lie in the folder."""

    folder: Path
    settings: Mapping[str, str]
    serving: bool = True
    port: int = field(default_factory=free_port)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the processes: nothing of the tests' own Prefect is in it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DLQ_"))}
        return {
            **inherited,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "DO_NOT_TRACK": "1",
            **self.settings,
        }

    def __enter__(self) -> Self:
        """Start the server, then the deployments, and wait for both."""
        program = Path(sys.executable).with_name("prefect")
        try:
            self._start("server", [program, "server", "start", "--host", HOST, "--port", str(self.port)])
            self.wait_for(lambda: self.call("GET", "/health"))
            if self.serving:
                self._start("serve", [sys.executable, "-m", "deployments.serve"])
                self.wait_for(lambda: self.call("GET", "/deployments/name/incident/incident"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop the processes, the youngest first, with whatever they have started."""
        for process in reversed(self._processes):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the server's API; urllib's errors go through."""
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(  # noqa: S310 - a loopback address of our own
            f"{self.url}/api{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - as above
            return json.loads(answer.read() or b"null")

    def wait_for(self, ask: Any) -> Any:
        """Ask again until there is an answer that is not empty."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for process in self._processes:
                if process.poll() is not None:
                    pytest.fail(f"{process.args} ended with {process.returncode}; see the logs in {self.folder}")
            with suppress(OSError, urllib.error.URLError, ValueError):
                if found := ask():
                    return found
            time.sleep(0.3)
        pytest.fail(f"no answer within {READY_SECONDS:.0f} s; see the logs in {self.folder}")

    def _start(self, name: str, command: list[str | Path]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
