"""Everything between a backlog and its incident, with the real programs, on free ports and in a folder of its own.

Redis, exporter and receiver, Prometheus with the shipped rules, Alertmanager with the shipped route, Prefect and the
runner. The shipped files are used as they are but for addresses and for their times, which are cut to seconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import redis

from tests.servers import missing, new_server

DEPLOYMENTS = Path(__file__).parents[1] / "deployments"
TOKEN = "token-of-the-loop"  # noqa: S105 - of a receiver that lives for a test
_QUEUES = """
[alerts."*"]
parameters = { pace = "none", max_batches = 0 }

[policy.preflight]
consumers = "off"
health = "off"
live_queue = "off"
success_rate = "off"
fix = "off"
memory = "off"
"""
_PATIENCE = 120.0  # seconds for anything to happen on a busy machine


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(true: Callable[[], bool], what: str, seconds: float = _PATIENCE) -> None:
    """Wait until something is true; what cannot be asked yet is not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError, ValueError, KeyError):
            if true():
                return
        time.sleep(0.2)
    raise AssertionError(f"after {seconds:.0f} s still not: {what}")


@dataclass
class Loop:
    """The programs, by name; each can be killed and started again on its port with its data."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Write the configurations and start everything."""
        for program in ("prometheus", "prometheus-alertmanager"):
            if shutil.which(program) is None:
                missing(program)
        self.redis = self._stack.enter_context(new_server("redis"))
        self.client = self._stack.enter_context(redis.Redis.from_url(self.redis.url))
        for name in ("prefect", "receiver", "prometheus", "alertmanager"):
            self.ports[name] = free_port()
        self._write_configurations()
        for name in ("prefect", "receiver", "prometheus", "alertmanager"):
            self.start(name)
        self.await_ready("prefect")
        self.start("runner")
        for name in ("receiver", "prometheus", "alertmanager"):
            self.await_ready(name)
        until(lambda: self.prefect("GET", "/deployments/name/incident/incident")["name"] == "incident", "served")
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop all that runs, by its process id."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._stack.close()

    def url(self, name: str) -> str:
        """Give the address of a program."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str) -> None:
        """Start a program."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._command(name), cwd=self.folder, env=self._environment(), stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """Kill a program, as a machine that fails does."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def await_ready(self, name: str) -> None:
        """Wait until a program answers."""
        path = {"prefect": "/api/health", "receiver": "/metrics", "prometheus": "/-/ready", "alertmanager": "/-/ready"}
        address = self.url(name) + path[name]
        until(lambda: httpx.get(address, timeout=10).status_code == httpx.codes.OK, f"{name} answers")

    def fill(self, queue: str, count: int) -> None:
        """Put messages into a DLQ."""
        self.client.lpush(f"tokpulse:dlq:{queue}", *(f'{{"type": "webhook", "id": "{n}"}}' for n in range(count)))

    def firing(self, queue: str) -> set[str]:
        """Name the alerts of a queue that fire in Prometheus."""
        found = httpx.get(f"{self.url('prometheus')}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        labels = [alert["labels"] for alert in found if alert["state"] == "firing"]
        return {said["alertname"] for said in labels if said.get("queue") == queue}

    def notified(self, queue: str) -> bool:
        """Say whether Alertmanager knows an alert of a queue."""
        found = httpx.get(f"{self.url('alertmanager')}/api/v2/alerts", timeout=10).json()
        return any(alert["labels"].get("queue") == queue for alert in found)

    def runs(self, queue: str) -> list[dict[str, Any]]:
        """Read the flow runs on a queue that alerts made."""
        wanted = {"flow_runs": {"tags": {"all_": ["alert"]}}}
        found: list[dict[str, Any]] = self.prefect("POST", "/flow_runs/filter", wanted)
        return [run for run in found if run["parameters"]["queue"] == queue]

    def prefect(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the Prefect server."""
        return (
            httpx.request(method, f"{self.url('prefect')}/api{path}", json=body, timeout=30).raise_for_status().json()
        )

    def received(self, code: int) -> float:
        """Count the posts that the receiver has answered with a status."""
        text = httpx.get(f"{self.url('receiver')}/metrics", timeout=30).text
        lines = [line for line in text.splitlines() if line.startswith(f'dlq_receiver_posts_total{{code="{code}"}}')]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "DLQ_CONFIG": str(self.folder / "dlq.toml"),
            "DLQ_HOME": str(self.folder),
            "DLQ_REDIS_URL": self.redis.url,
            "DLQ_RECEIVER_PORT": str(self.ports["receiver"]),
            "DLQ_RECEIVER_TOKEN": TOKEN,
            # What was moved is counted where it lies: no worker takes it, and the pre-flight would refuse for that.
            "DLQ_POLICY": '{"preflight": {"consumers": "off"}}',
            "PREFECT_API_URL": f"{self.url('prefect')}/api",
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }

    def _command(self, name: str) -> list[str]:
        python, here = [sys.executable, "-m"], "127.0.0.1"
        port = self.ports.get(name)
        return {
            "prefect": [*python, "prefect", "server", "start", "--host", here, "--port", str(port)],
            "runner": [*python, "deployments.serve"],
            "receiver": [*python, "deployments.receiver"],
            "prometheus": [
                "prometheus",
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=prometheus-data",
                f"--web.listen-address={here}:{port}",
            ],
            "alertmanager": [
                "prometheus-alertmanager",
                "--config.file=alertmanager.yml",
                "--storage.path=alertmanager-data",
                f"--web.listen-address={here}:{port}",
                "--cluster.listen-address=",
            ],
        }[name]

    def _write_configurations(self) -> None:
        """Take the shipped files with addresses of our own, and seconds in place of minutes."""
        addresses = {"127.0.0.1:4201": f"127.0.0.1:{self.ports['receiver']}"}
        addresses["127.0.0.1:9093"] = f"127.0.0.1:{self.ports['alertmanager']}"
        scraping = {
            "scrape_interval: 15s": "scrape_interval: 1s",
            "evaluation_interval: 15s": "evaluation_interval: 1s",
        }
        grouping = {"group_wait: 10s": "group_wait: 2s", "group_interval: 1m": "group_interval: 5s"}
        for file, changes in (
            ("prometheus/prometheus.yml", addresses | scraping),
            ("prometheus/dlq.rules.yml", addresses | {"for: 5m": "for: 2s"}),
            ("alertmanager/alertmanager.yml", addresses | grouping),
        ):
            text = (DEPLOYMENTS / file).read_text(encoding="utf-8")
            for old, new in changes.items():
                assert old in text or old in addresses, f"{file} does not say {old!r}"
                text = text.replace(old, new)
            (self.folder / Path(file).name).write_text(text, encoding="utf-8")
        (self.folder / "receiver-token").write_text(TOKEN, encoding="utf-8")
        (self.folder / "dlq.toml").write_text(_QUEUES, encoding="utf-8")
