"""The receiver for tests: the real application under the real server, on a free port, in a thread of this process."""

from __future__ import annotations

import contextvars
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn

from deployments.receiver.app import create_app
from dlq.config.settings import Settings

TOKEN = "the-token"  # noqa: S105 - of a receiver that lives for a test
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SINCE = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def alert(
    name: str = "HighDLQDepth",
    *,
    queue: str | None = "webhooks",
    status: str = "firing",
    mark: object = "",
    **more: Any,
) -> dict[str, Any]:
    """Make an alert of a payload; `mark` tells it from others of its name."""
    labels = {"alertname": name, "severity": "high", "level": "1"} | ({"queue": queue} if queue else {})
    said = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"{name} on {queue}"},
        "startsAt": SINCE.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.test/graph",
        "fingerprint": f"{name}-{queue}-{mark}",
    }
    return said | more


def payload(*alerts: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Put alerts into a payload as Alertmanager posts it."""
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "dlq-drain",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.test",
        "alerts": list(alerts),
        **more,
    }


@dataclass(frozen=True)
class Served:
    """A receiver that runs."""

    url: str

    def post(self, *alerts: Mapping[str, Any], **more: Any) -> httpx.Response:
        """Post alerts as Alertmanager does."""
        return httpx.post(f"{self.url}/alerts", json=payload(*alerts), headers=BEARER, timeout=60, **more)

    def outcomes(self, *alerts: Mapping[str, Any]) -> list[str]:
        """Post alerts that are accepted; give what became of each."""
        answer = self.post(*alerts)
        assert answer.status_code == 200, answer.text
        return [result["outcome"] for result in answer.json()["results"]]

    def metric(self, line: str) -> float:
        """Read one line of /metrics."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        (found,) = [said for said in text.splitlines() if said.startswith(f"{line} ")]
        return float(found.rpartition(" ")[2])


@contextmanager
def receiving(settings: Settings, **options: Any) -> Iterator[Served]:
    """Serve until the block ends; `options` are uvicorn's."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, access_log=False, **options))
        # Prefect keeps the address of the test's server in a context variable.
        run = contextvars.copy_context().run
        thread = threading.Thread(target=lambda: run(server.run, [listening]), daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the receiver did not start"
                time.sleep(0.01)
            yield Served(f"http{'s' if options.get('ssl_certfile') else ''}://localhost:{port}")
        finally:
            server.should_exit = True
            thread.join(30)
