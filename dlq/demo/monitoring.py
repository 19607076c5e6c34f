"""A real Prometheus and Alertmanager for the demo, with the rules and routes of `deployments/` and short intervals."""

from __future__ import annotations

import importlib.util
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dlq.embedded.redis import HOST, free_port
from dlq.up.service import Service

if TYPE_CHECKING:
    from dlq.up.services import Plan

PROMETHEUS: Final = ("prometheus",)
ALERTMANAGER: Final = ("prometheus-alertmanager", "alertmanager")
_RULES: Final = "prometheus/dlq.rules.yml"
_ROUTES: Final = "alertmanager/alertmanager.yml"
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The two programs, their ports, and the folder of their configuration and data."""

    prometheus: str
    alertmanager: str
    folder: Path
    ports: tuple[int, int]

    @classmethod
    def find(cls, folder: Path) -> Monitoring | None:
        """Find the programs, as Debian and as others name them; None when one is not installed."""
        found = [next(filter(None, map(shutil.which, names)), None) for names in (PROMETHEUS, ALERTMANAGER)]
        if _deployments() is None or not found[0] or not found[1]:
            return None
        return cls(found[0], found[1], folder, (free_port(), free_port()))

    @property
    def url(self) -> str:
        """Give the address of Prometheus."""
        return f"http://{HOST}:{self.ports[0]}"

    def services(self, plan: Plan) -> list[Service]:
        """Write the configuration and give the two services."""
        source = _deployments()
        if source is None:
            return []
        self.folder.mkdir(exist_ok=True)
        rules = self._write("dlq.rules.yml", quick_rules((source / _RULES).read_text(encoding="utf-8")))
        routes = quick_routes((source / _ROUTES).read_text(encoding="utf-8"), plan.receiver, plan.home.token_file)
        scraping = self._write("prometheus.yml", _scraping(rules, self.ports[1], plan.settings.receiver_port))
        alerting = self._write("alertmanager.yml", routes)
        listen = [f"--web.listen-address={HOST}:{port}" for port in self.ports]
        prometheus = [self.prometheus, f"--config.file={scraping}", f"--storage.tsdb.path={self.folder / 'tsdb'}"]
        alertmanager = [self.alertmanager, f"--config.file={alerting}", f"--storage.path={self.folder / 'alerts'}"]
        return [
            Service("prometheus", "Prometheus", [*prometheus, listen[0]], lambda _: _is_ready(self.ports[0])),
            Service(
                "alertmanager",
                "Alertmanager",
                [*alertmanager, listen[1], "--cluster.listen-address="],
                lambda _: _is_ready(self.ports[1]),
            ),
        ]

    def _write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        return file


def quick_rules(text: str) -> str:
    """Shorten how long a condition must hold, so that a demo need not wait for minutes."""
    return re.sub(r"^(\s+for: )\w+$", r"\g<1>2s", text, flags=re.MULTILINE)


def quick_routes(text: str, receiver: str, token: Path) -> str:
    """Shorten the waits between alerts and posts, and name the demo's receiver and its token."""
    text = re.sub(r"^(\s+group_wait: )\w+", r"\g<1>1s", text, flags=re.MULTILINE)
    text = re.sub(r"^(\s+group_interval: )\w+", r"\g<1>5s", text, flags=re.MULTILINE)
    text = re.sub(r"^(\s+(?:- )?url: )\S+$", rf"\g<1>{receiver}", text, flags=re.MULTILINE)
    return re.sub(r"^(\s+credentials_file: )\S+$", rf"\g<1>{token}", text, flags=re.MULTILINE)


def _scraping(rules: Path, alertmanager: int, receiver: int) -> str:
    return f"""global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{HOST}:{alertmanager}"]}}]}}]}}
scrape_configs:
  - job_name: dlq-drain
    static_configs: [{{targets: ["{HOST}:{receiver}"]}}]
"""


def _deployments() -> Path | None:
    """Find the folder with the rules and routes; None where only the wheel is installed."""
    spec = importlib.util.find_spec("deployments")
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / _RULES).is_file() and (Path(place) / _ROUTES).is_file():
            return Path(place)
    return None


def _is_ready(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=2)
    with suppress(OSError, HTTPException):
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == _OK
    return False
