"""No credential is ever written: made-up ones are planted in every setting, and all that was written is searched."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest
import redis
from prefect.client.orchestration import get_client
from prefect.logging.handlers import APILogHandler
from prefect.settings import get_current_settings
from pydantic import SecretStr

from dlq.config.settings import Settings, load_settings, secrets_of
from dlq.errors import ConfigError
from flows.act import act
from flows.assess import assess
from flows.depth_report import depth_report
from flows.diagnose import diagnose
from flows.incident import incident
from flows.weekly_review import weekly_review
from tests.messages import dead_letters
from tests.servers import new_server
from tests.slack_server import CHANNEL, TOKEN, FakeSlack, Fault, fake_slack
from tests.web_fake import DROP, Answer, WebFake, web_fake

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(280),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"
MARK = "canary"


@dataclass
class World:
    """A queue with servers around it, and the credentials that the settings hold."""

    folder: Path
    client: redis.Redis
    slack: FakeSlack
    web: WebFake
    environment: dict[str, str]
    secrets: set[str] = field(default_factory=set)


def planted(redis_url: str, slack: FakeSlack, web: WebFake) -> dict[str, str]:
    """Give the environment with a credential in every setting that takes one."""
    login = web.url.replace("http://", "http://me:{}@")
    return {
        "DLQ_REDIS_URL": redis_url,
        "DLQ_BROKER_URL": redis_url,
        "DLQ_SLACK_TOKEN": TOKEN,
        "DLQ_SLACK_CHANNEL": CHANNEL,
        "DLQ_SLACK_URL": slack.url,
        "DLQ_SLACK_SIGNING_SECRET": "canary-signing-secret",
        "DLQ_NOTIFY_URLS": login.format("canary-notify%40password").replace("http", "json")
        + "/canary-notify-path-token",
        "DLQ_STATUS_PAGE_URL": login.format("canary-page-password") + "/hook/canary-page-path-token",
        "DLQ_STATUS_PAGE_AUTH": "OAuth canary-page-auth",
        "DLQ_PROMETHEUS_URL": login.format("canary-prometheus-password"),
        "DLQ_PROMETHEUS_USER": "me",
        "DLQ_PROMETHEUS_PASSWORD": "canary-prometheus-basic",
        "DLQ_WORKERS_URL": login.format("canary-workers-password"),
        "DLQ_WORKERS_TOKEN": "canary-workers-token",
        "DLQ_RECEIVER_USER": "me",
        "DLQ_RECEIVER_PASSWORD": "canary-receiver-password",
        "DLQ_RECEIVER_TOKEN": "canary-receiver-token",
    }


LEFT_OUT = {"prometheus_token"}
"""Settings that cannot be set beside another one."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    """Give a queue with dead letters, a Slack, a web of everything else, and a credential in every setting."""
    with ExitStack() as stack:
        server = stack.enter_context(new_server("embedded", requirepass="canary-redis-password"))
        slack, web = stack.enter_context(fake_slack()), stack.enter_context(web_fake(lambda _asked: Answer(200, {})))
        environment = planted(server.url, slack, web) | {"DLQ_HOME": str(tmp_path / "home")}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        caplog.set_level(logging.DEBUG)
        client = stack.enter_context(redis.Redis.from_url(server.url))
        client.lpush(DLQ, *dead_letters(1_200))
        yield World(tmp_path, client, slack, web, environment, set(secrets_in(environment)))


def secrets_in(environment: dict[str, str]) -> Iterator[str]:
    """Find what must never be seen, as it is written and decoded."""
    words = [word for value in environment.values() for word in value.replace("@", " ").replace("/", " ").split()]
    for word in words:
        for part in word.split(":"):
            if MARK in part or part == TOKEN:
                yield from {part, unquote(part)}


def written(world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Gather everything that was written: logs, streams, files, and Prefect's database as its API gives it and raw."""
    APILogHandler().flush()
    out, err = capfd.readouterr()
    found = {"log": caplog.text, "stdout": out, "stderr": err}
    for path in world.folder.rglob("*"):
        if path.is_file():
            found[str(path)] = path.read_bytes().decode("utf-8", "replace")
    with get_client(sync_client=True) as server:
        for name, read in {
            "runs": server.read_flow_runs,
            "tasks": server.read_task_runs,
            "artifacts": server.read_artifacts,
            "logs": server.read_logs,
        }.items():
            found[f"prefect {name}"] = "\n".join(each.model_dump_json() for each in read())
    address = get_current_settings().server.database.connection_url
    assert address is not None
    database = Path(address.get_secret_value().partition("///")[2].partition("?")[0])
    for path in database.parent.glob(f"{database.name}*"):
        found[str(path)] = path.read_bytes().decode("utf-8", "replace")
    assert any(path.endswith(database.name) for path in found)
    return found


def leaks(found: dict[str, str], secrets: set[str]) -> list[str]:
    """Name what was leaked where."""
    return sorted(
        f"{secret} in {place}: …{text[max(0, text.find(secret) - 90) : text.find(secret) + 50]!r}"
        for place, text in found.items()
        for secret in secrets
        if secret in text
    )


def test_every_credential_is_planted(world: World) -> None:
    """A new setting that takes a credential must be planted here, too."""
    settings = load_settings()
    missing = {
        name
        for name, each in Settings.model_fields.items()
        if SecretStr.__name__ in str(each.annotation) and not list(secrets_of(getattr(settings, name)))
    }
    assert missing == LEFT_OUT
    assert all(MARK in secret or secret == TOKEN for secret in world.secrets)
    assert len(world.secrets) >= 14


@pytest.mark.parametrize("login", ["password", "token"])
def test_a_good_run_writes_none(
    world: World,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    login: str,
) -> None:
    """An incident with everything set up: told in Slack, through apprise and on the status page; then the commands."""
    if login == "token":
        monkeypatch.delenv("DLQ_PROMETHEUS_USER")
        monkeypatch.delenv("DLQ_PROMETHEUS_PASSWORD")
        monkeypatch.setenv("DLQ_PROMETHEUS_URL", world.web.url)
        monkeypatch.setenv("DLQ_PROMETHEUS_TOKEN", "canary-prometheus-token")
        world.secrets.add("canary-prometheus-token")
    diagnose(queue="webhooks")
    depth_report()
    weekly_review()
    summary = incident(queue="webhooks", pace="none", max_batches=0)
    run = summary["run_id"]
    commands(world, "status", "assess webhooks --json", f"show {run}", f"rollback {run} --yes")
    assert {asked.path for asked in world.web.asked} >= {"/canary-notify-path-token", "/hook/canary-page-path-token"}
    assert len(world.slack.roots) == 3  # the two reports and the incident
    found = written(world, caplog, capfd)
    assert summary["run_id"] in found["prefect artifacts"]
    assert leaks(found, world.secrets) == []


@pytest.mark.parametrize("answer", [Answer(401), DROP], ids=["401", "dropped"])
def test_a_run_whose_surroundings_fail_writes_none(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], answer: Answer
) -> None:
    """Everything but the broker refuses, breaks or hangs up; the drain goes on, and the reasons name no credential."""
    world.web.answer = lambda _asked: answer
    world.slack.always = Fault("500")
    summary = incident(queue="webhooks", pace="none", max_batches=0)
    diagnose(queue="webhooks")
    act(queue="webhooks", return_state=True)
    assert summary["redriven"] == 1_200
    assert leaks(written(world, caplog, capfd), world.secrets) == []


def test_a_failing_run_writes_none(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that the broker refuses, an address that nobody answers, a flow that breaks: errors name none."""
    refused = world.environment["DLQ_REDIS_URL"].replace("canary-redis", "canary-wrong")
    world.secrets.add("canary-wrong-password")
    for url in ("redis://:canary-nowhere@127.0.0.1:1/0", refused):
        world.secrets.add(url.partition("://:")[2].partition("@")[0])
        monkeypatch.setenv("DLQ_REDIS_URL", url)
        monkeypatch.setenv("DLQ_BROKER_URL", url)
        environment = {"DLQ_REDIS_URL": url, "DLQ_BROKER_URL": url}
        commands(
            world, "status", "assess webhooks", "drain webhooks --pace none --yes", "runs", environment=environment
        )
    assert assess(queue="webhooks", return_state=True).is_failed()
    for name in ("DLQ_REDIS_URL", "DLQ_BROKER_URL"):
        monkeypatch.setenv(name, world.environment["DLQ_REDIS_URL"])
    world.client.set(LIVE, "not a list")
    assert incident(queue="webhooks", pace="none", return_state=True).is_failed()
    assert leaks(written(world, caplog, capfd), world.secrets) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://:canary-scheme@localhost"),
        ("REDIS_URL", "redis://:canary-port@localhost:port"),
        ("REDIS_URL", "redis://:canary/hash#@localhost:1"),
        ("PROMETHEUS_URL", "ftp://me:canary-ftp@localhost"),
        ("WORKERS_URL", "http://me:canary-bad@:port"),
        ("STATUS_PAGE_URL", "canary-no-address"),
        ("SLACK_URL", "canary-no-url"),
        ("NOTIFY_URLS", "nonsense://canary-apprise"),
        ("SLACK_MENTIONS", "canary-no-json"),
        ("STATUS_PAGE_BODY", '["canary-list"]'),
    ],
)
def test_settings_that_cannot_be_used_are_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, tmp_path: Path
) -> None:
    """The error names the setting; what stands in it may be a credential."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"DLQ_{name}", value)
    done = subprocess.run(
        [sys.executable, "-m", "dlq", "status"],
        env={**os.environ, f"DLQ_{name}": value},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    text = done.stdout + done.stderr
    if done.returncode == ConfigError.exit_status:
        with pytest.raises(ConfigError, match=f"DLQ_{name}") as caught:
            load_settings()
        text += f"{caught.value!r} {caught.value.facts}"
    assert MARK not in text


def commands(world: World, *lines: str, environment: dict[str, str] | None = None) -> None:
    """Run commands; what they write is printed, and so searched."""
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", "dlq", *line.split()],
            env={**os.environ, **world.environment, **(environment or {})},
            cwd=world.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
