"""What the demo runs on: a folder, settings and servers of its own, whatever the user has configured."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dlq.config.announced import LOCK
from dlq.config.settings import Settings
from dlq.demo.monitoring import Monitoring
from dlq.embedded.redis import free_port
from dlq.errors import DlqError
from dlq.up.errors import UpRunningError
from dlq.up.home import Home, hold
from dlq.up.services import Plan

if TYPE_CHECKING:
    from pathlib import Path

    from dlq.demo.ground import Ground

PREFIX: Final = "tokpulse"
GRACE_SECONDS: Final = 3  # of its workers a message is soon delivered, or back in the DLQ
_TOML: Final = f"""prefix = "{PREFIX}"

[queues.webhooks.loop]
grace_seconds = {GRACE_SECONDS}
[queues.jobs.loop]
grace_seconds = {GRACE_SECONDS}
[queues.experiments.loop]
grace_seconds = {GRACE_SECONDS}

[alerts."*".parameters]
{{pace}}

[policy]
unattended_levels = [1, 2, 3]
approve_above = 10000000
"""
"""Nobody is asked, and outcomes are waited for only shortly: a demo has two minutes."""


class DemoRunningError(DlqError):
    """Another demo runs in this folder."""

    exit_status = 3
    advice = "Wait for its end, or set DLQ_HOME to another folder."


@contextmanager
def own_home(folder: Path) -> Iterator[Home]:
    """Hold the demo's folder and empty it: what an earlier demo left scheduled must not run in this one."""
    try:
        holding = hold(folder)
        with holding as home:
            for old in home.folder.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
                elif old.name != LOCK:
                    old.unlink()
            home.logs.mkdir()
            yield home
    except UpRunningError as exc:
        raise DemoRunningError(folder=folder) from exc


def make_plan(told: Settings, home: Home, monitoring: Monitoring | None, ground: Ground) -> Plan:
    """Plan the servers on free ports, with the runbook's three queues; only one Redis may be the user's."""
    file = home.folder / "dlq.toml"
    file.write_text(_TOML.format(pace=ground.pace), encoding="utf-8")
    said: dict[str, object] = {
        "config": file,
        "home": home.folder,
        "reports": told.reports_folder.resolve(),
        "timezone": told.timezone,
        "prefix": PREFIX,
        "queues": {},
        "ui_port": told.ui_port if "ui_port" in told.model_fields_set else free_port(),
        "receiver_port": free_port(),
        "redis_port": free_port(),
        **ground.said,
    }
    if not ground.said and "redis_url" in told.model_fields_set:
        said["redis_url"] = told.redis_url
    settings = Settings.model_validate(said)
    # What the user has told dlq about his own Slack, cluster or Prometheus is no business of a demo's.
    blank = {name: "" for name in os.environ if name.startswith("DLQ_")}
    own = {
        "DLQ_PREFIX": PREFIX,
        "DLQ_TIMEZONE": told.timezone,
        "DLQ_PROMETHEUS_URL": monitoring.url if monitoring else "",
        "DLQ_RECEIVER_SETTLE": "900",  # an alert that goes on after its incident starts no second one here
        **ground.environment,
    }
    return Plan.of(settings, home, {**blank, **own})
