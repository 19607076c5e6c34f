"""The receiver's edges that need no server: credentials, the payload, and when it refuses to start."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr, ValidationError

from deployments.receiver.__main__ import check
from deployments.receiver.access import admitted
from deployments.receiver.payload import FiringOrResolved
from dlq.config.setting_alerts import AlertRule
from dlq.config.settings import Settings
from dlq.errors import ConfigError


def basic(user: str, password: str) -> str:
    """Write an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def alert(**changes: Any) -> FiringOrResolved:
    """Make an alert as Alertmanager posts it."""
    said = {
        "status": "firing",
        "labels": {"alertname": "HighDLQDepth", "queue": "webhooks", "severity": "high", "level": "1"},
        "annotations": {"summary": "2,000 messages"},
        "startsAt": "2026-11-25T09:00:00+01:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=1",
        "fingerprint": "c1f2a3b4d5e60718",
    }
    return FiringOrResolved.model_validate(said | changes)


@pytest.mark.parametrize(
    ("header", "good"),
    [
        ("Bearer right", True),
        ("bearer right", True),
        ("Bearer wrong", False),
        ("Bearer ", False),
        ("Bearer rïght", False),
        ("right", False),
        ("", False),
        (basic("ada", "pass:word"), True),
        (basic("ada", "wrong"), False),
        (basic("eve", "pass:word"), False),
        ("Basic %%%", False),
        ("Basic /w==", False),
    ],
)
def test_only_the_credentials_of_the_settings_are_admitted(header: str, good: bool) -> None:  # noqa: FBT001
    """A token, or a user with the password; what cannot be read is wrong, not an error."""
    settings = Settings(
        receiver_token=SecretStr("right"), receiver_user="ada", receiver_password=SecretStr("pass:word")
    )
    assert admitted(settings, header) is good


def test_a_password_alone_is_no_token() -> None:
    """Each kind of credentials is good for its own scheme only."""
    assert not admitted(Settings(receiver_user="ada", receiver_password=SecretStr("x")), "Bearer x")
    assert not admitted(Settings(receiver_token=SecretStr("x")), basic("None", "x"))


@pytest.mark.parametrize(
    ("said", "insecure", "refusal"),
    [
        ({}, False, "Anybody could start runs"),
        ({"receiver_host": "0.0.0.0"}, True, "loopback only"),  # noqa: S104 - that is what must be refused
        ({"receiver_host": "receiver.internal"}, True, "loopback only"),
        ({"receiver_host": "127.0.0.1"}, True, None),
        ({"receiver_host": "::1"}, True, None),
        ({"receiver_host": "0.0.0.0", "receiver_token": "x"}, False, None),  # noqa: S104 - with a token it may be
    ],
)
def test_it_serves_nobody_without_credentials(said: dict[str, str], insecure: bool, refusal: str | None) -> None:  # noqa: FBT001
    """No token and no password: only when told so, and on loopback only."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        settings = Settings.model_validate(said)
        if refusal is None:
            check(settings, insecure=insecure)
            return
        with pytest.raises(ConfigError, match=refusal):
            check(settings, insecure=insecure)


def test_it_wants_a_prefect_server() -> None:
    """Without an address Prefect's client would start a server of its own, and the runs would be gone with it."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(ConfigError, match="PREFECT_API_URL"):
        check(Settings(receiver_token=SecretStr("x")), insecure=False)


def test_an_alert_becomes_what_flows_know() -> None:
    """Labels and annotations become fields; the moment is in UTC."""
    about = alert().about("webhooks")
    assert about.model_dump(mode="json") == {
        "name": "HighDLQDepth",
        "fingerprint": "c1f2a3b4d5e60718",
        "starts_at": "2026-11-25T08:00:00Z",
        "severity": "high",
        "level": 1,
        "queue": "webhooks",
        "summary": "2,000 messages",
        "url": "http://prometheus:9090/graph?g0.expr=1",
    }


def test_the_key_is_of_fingerprint_moment_and_queue() -> None:
    """The time zone of the moment plays no part, the moment and the queue do."""
    key = alert().key("webhooks")
    assert alert(startsAt="2026-11-25T08:00:00Z").key("webhooks") == key
    others = {
        alert(fingerprint="x").key("webhooks"),
        alert().key("jobs"),
        alert(startsAt=datetime.now(UTC)).key("webhooks"),
    }
    assert len(others | {key}) == 4


def test_an_alert_without_a_fingerprint_is_told_by_its_labels() -> None:
    """As Alertmanager itself does it."""
    nameless = alert(fingerprint="")
    assert nameless.identity == alert(fingerprint="", annotations={}).identity
    assert nameless.identity != alert(fingerprint="", labels={"alertname": "Other"}).identity


def test_texts_from_outside_are_made_fit() -> None:
    """No line breaks, no NUL, no half surrogate pairs, no endless texts; a level that is none is None."""
    odd = alert(
        labels={"alertname": "A\nB\x00", "level": "page", "severity": "x" * 999},
        annotations={"description": "d\ud800" + "y" * 5_000},
    ).about("webhooks")
    assert (odd.name, odd.level, len(odd.severity), len(odd.summary)) == ("A B", None, 200, 1_000)
    odd.model_dump_json()


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-25T08:00:00", "x"]
)
def test_a_moment_that_cannot_be_is_refused(moment: str) -> None:
    """Without an offset, or out of what can be counted with."""
    with pytest.raises(ValidationError):
        alert(startsAt=moment)


def test_an_alert_has_its_own_rule_or_that_of_all_others() -> None:
    """`*` stands for every alert without a rule; without that the incident flow is started."""
    settings = Settings.model_validate({"alerts": {"A": {"queue": "jobs"}, "*": {"parameters": {"pace": "none"}}}})
    assert settings.alert_rule("A").queue == "jobs"
    assert settings.alert_rule("B").parameters == {"pace": "none"}
    assert Settings().alert_rule("B") == AlertRule(deployment="incident/incident")


@pytest.mark.parametrize(
    "said",
    [
        {"alerts": {"A": {"queue": "nosuch"}}},
        {"alerts": {"A": {"deployment": "incident"}}},
        {"receiver_user": "ada"},
        {"receiver_key": __file__},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(said: dict[str, Any]) -> None:
    """A rule for no queue, a deployment without its flow, half a pair."""
    with pytest.raises(ValidationError):
        Settings.model_validate(said)
