"""The alert rules and configurations, checked by Prometheus's own tools, and what they name, by ours."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.receiver import exporter
from deployments.receiver.counters import Counters
from dlq.config.queues import Thresholds
from dlq.config.settings import Settings
from tests.servers import missing

FOLDER = Path(__file__).parents[2] / "deployments"
RULES = FOLDER / "prometheus" / "dlq.rules.yml"
FROM_THE_APPLICATION = {"tokpulse_job_attempts_total", "tokpulse_job_processed_total"}


def rules() -> list[dict[str, Any]]:
    """Read all rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def runbook_rules() -> list[dict[str, Any]]:
    """Read the rules about queues."""
    return [rule for rule in rules() if "run" in rule["annotations"]]


@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "rules", "prometheus/dlq.rules.yml"],
        ["promtool", "check", "config", "prometheus/prometheus.yml"],
        ["promtool", "test", "rules", "prometheus/dlq.tests.yml"],
        ["amtool", "check-config", "alertmanager/alertmanager.yml"],
    ],
    ids=["rules", "prometheus.yml", "tests of rules", "alertmanager.yml"],
)
def test_the_tools_find_nothing_wrong(command: list[str]) -> None:
    """What we ship loads, and each rule fires at its threshold and not before."""
    if shutil.which(command[0]) is None:
        missing(command[0])
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_says_how_severe_it_is_and_who_is_called() -> None:
    """Severity and level in the words of the runbook, and a summary."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"medium", "high", "critical"}, rule["alert"]
        assert rule["labels"]["level"] in {"1", "2", "3"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_the_thresholds_are_the_defaults_of_the_settings() -> None:
    """A rule and an assessment do not contradict each other."""
    expressions = {rule["alert"]: rule["expr"] for rule in rules()}
    assert expressions["HighDLQDepth"].endswith(f"> {Thresholds().depth_warn}")
    assert expressions["DLQEmergency"].endswith(f"> {Thresholds().depth_emergency}")
    assert expressions["DLQGrowingFast"].endswith(f"> {Thresholds().growth_per_minute}")


def test_every_metric_of_a_rule_is_exported() -> None:
    """By the receiver, or by the application under the runbook's names."""
    text = exporter.render([exporter.QueueReading("webhooks")], Counters.of(["webhooks"]).registry).decode()
    exported = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | FROM_THE_APPLICATION
    used = {name for rule in rules() for name in re.findall(r"\b(?:tokpulse|dlq)_\w+", rule["expr"])}
    assert used - exported == set()
    assert len(used) > 5


def test_every_runbook_alert_goes_to_the_receiver_and_no_other() -> None:
    """Alertmanager's route names the rules one by one."""
    route = yaml.safe_load((FOLDER / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))["route"]
    (way,) = route["routes"]
    (matcher,) = way["matchers"]
    named = matcher.partition('"')[2].strip('"').split("|")
    assert way["receiver"] == "dlq-drain"
    assert sorted(named) == sorted(rule["alert"] for rule in runbook_rules())


def test_the_addresses_are_the_default_ones() -> None:
    """Prometheus scrapes, Alertmanager posts and the run link leads to where the receiver listens by itself."""
    settings = Settings()
    address = f"{settings.receiver_host}:{settings.receiver_port}"
    for rule in runbook_rules():
        assert rule["annotations"]["run"] == f"http://{address}/incidents/{{{{ $labels.queue }}}}"
    for file, wanted in (
        ("prometheus/prometheus.yml", f"- targets: [{address}]"),
        ("alertmanager/alertmanager.yml", f"- url: http://{address}/alerts"),
    ):
        assert wanted in (FOLDER / file).read_text(encoding="utf-8")
