"""A real Prometheus for tests, on a free port, that scrapes what a test shows it each half second."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.servers import missing
from tests.web_fake import Answer, web_fake

_CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - job_name: shown
    static_configs: [{{targets: ["{target}"]}}]
"""


@dataclass
class Shown:
    """The text that Prometheus scrapes; None: the exporter is gone. A test changes it while it runs."""

    text: str | None = ""
    url: str = ""
    scrapes: int = field(default=0)


@contextmanager
def prometheus_server(
    folder: Path, shown: Shown, *, web_config: str = "", client: httpx.Client | None = None
) -> Iterator[str]:
    """Run Prometheus until the block ends; give its address. `web_config` is its own file for TLS and users."""
    program = shutil.which("prometheus")
    if program is None:
        missing("prometheus")

    def scrape(_: object) -> Answer:
        shown.scrapes += 1
        return Answer(500) if shown.text is None else Answer(200, shown.text, "text/plain; version=0.0.4")

    with web_fake(scrape) as exporter:
        folder.mkdir(exist_ok=True)
        (folder / "prometheus.yml").write_text(_CONFIG.format(target=urlsplit(exporter.url).netloc), encoding="utf-8")
        (folder / "web.yml").write_text(web_config, encoding="utf-8")
        port = _free_port()
        arguments = {
            "config.file": folder / "prometheus.yml",
            "web.config.file": folder / "web.yml",
            "storage.tsdb.path": folder / "data",
            "web.listen-address": f"127.0.0.1:{port}",
            "log.level": "warn",
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *(f"--{name}={value}" for name, value in arguments.items())], stdout=log, stderr=log
            )
        try:
            scheme = "https" if "tls_server_config" in web_config else "http"
            url = f"{scheme}://127.0.0.1:{port}"
            _wait_until_ready(process, url, client or httpx.Client(), folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, client: httpx.Client, log: Path) -> None:
    with client:
        for _ in range(600):
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            try:
                if client.get(f"{url}/-/ready").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
