"""Readings from a Prometheus that misbehaves: unknown and why, never a zero and never an exception."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dlq.config import metric_queries
from dlq.config.metric_queries import MetricNames
from dlq.config.settings import Settings, load_settings
from dlq.errors import ConfigError
from dlq.systems.metrics import Metrics
from tests.web_fake import DROP, HANG, Answer, Asked, WebFake, web_fake

NOW = 1_790_000_000.0


def vector(**parts: float | str) -> Answer:
    """Answer an instant query with these parts."""
    rows = [{"metric": {"dlq_part": name}, "value": [NOW, str(value)]} for name, value in parts.items()]
    return Answer(body={"status": "success", "data": {"resultType": "vector", "result": rows}})


@pytest.fixture
def fake() -> Iterator[WebFake]:
    """Run a Prometheus that knows nothing, until the test says otherwise."""
    with web_fake(lambda _: vector()) as running:
        yield running


def metrics_of(fake: WebFake, **settings: Any) -> Metrics:
    """Connect to the fake."""
    return Metrics.of(Settings(prometheus_url=fake.url, prometheus_retries=0, **settings))


def test_without_an_address_nothing_is_known() -> None:
    """And the note says which setting is missing."""
    metrics = Metrics.of(Settings())
    reading = metrics.depth("webhooks")
    assert (reading.value, metrics.configured) == (None, False)
    assert "DLQ_PROMETHEUS_URL" in reading.note
    assert metrics.depth_range("webhooks", datetime.now(UTC) - timedelta(hours=1)).points == ()


def test_a_fresh_sample_is_read_with_its_time(fake: WebFake) -> None:
    """The time is that of the sample, not of the question."""
    fake.answer = lambda _: vector(at=NOW - 7, value=1234)
    reading = metrics_of(fake).depth("webhooks")
    assert (reading.value, reading.note) == (1234, "")
    assert reading.at == datetime.fromtimestamp(NOW - 7, UTC)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (vector(), 'no series tokpulse_dlq_depth{queue="webhooks"}'),
        (vector(value=0), "stale"),
        (vector(at=NOW - 181, value=0), "stale: the newest sample is 181 s old"),
        (vector(at=NOW, value="NaN"), "not a number"),
        (vector(at=NOW, value="+Inf"), "not a number"),
        (vector(at=NOW), "too few samples"),
        (Answer(503, {"status": "error"}), "down: it answers 503"),
        (Answer(422, {"status": "error"}), "it answers 422"),
        (Answer(401, "no"), "refused the login (401)"),
        (Answer(200, "<html>Sign in</html>", "text/html"), "not that of Prometheus"),
        (Answer(200, {"status": "success"}), "not that of Prometheus"),
        (Answer(200, {"data": {"result": [{"metric": {}, "value": []}]}}), "not that of Prometheus"),
        (Answer(200, {"data": {"result": "many"}}), "not that of Prometheus"),
        (Answer(200, [1, 2]), "not that of Prometheus"),
        (DROP, "down: it does not answer"),
        (HANG, "down: it does not answer"),
    ],
)
def test_what_is_not_known_is_none_with_a_reason(fake: WebFake, answer: Answer, said: str) -> None:
    """No fault of the server becomes a number."""
    fake.answer = lambda _: answer
    reading = metrics_of(fake, prometheus_timeout=0.3).depth("webhooks")
    assert reading.value is None
    assert said in reading.note


def test_nobody_listens() -> None:
    """A refused connection is unknown too."""
    with web_fake(lambda _: vector()) as gone:
        metrics = metrics_of(gone)
    assert "down" in metrics.depth("webhooks").note
    assert metrics.depth_range("webhooks", datetime.now(UTC) - timedelta(hours=1)).note.startswith("down")


def test_a_silent_server_is_asked_once(fake: WebFake) -> None:
    """A pre-flight that wants five numbers waits for one time-out, not for five."""
    fake.answer = lambda _: HANG
    metrics = metrics_of(fake, prometheus_timeout=0.2)
    notes = {metrics.depth(name).note for name in ("webhooks", "jobs", "experiments")}
    assert notes == {"down: it does not answer"}
    assert len(fake.asked) == 1


def test_a_refusal_is_tried_again(fake: WebFake) -> None:
    """An overloaded server that answers at the second try gives its number."""
    answers = iter([Answer(503), vector(at=NOW, value=5)])
    fake.answer = lambda _: next(answers)
    metrics = Metrics.of(Settings(prometheus_url=fake.url, prometheus_retries=1))
    assert metrics.depth("webhooks").value == 5
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    ("parts", "value", "note"),
    [
        ({"all": 10, "success": 9, "failed": 1}, 0.9, ""),
        ({"all": 10, "failed": 10}, 0.0, ""),
        ({"all": 10}, None, "no series has the status success"),
        ({"all": 0, "success": 0}, None, "nothing was processed"),
        ({}, None, "too few samples yet"),
        ({"all": "NaN", "success": "NaN"}, None, "nothing was processed"),
    ],
)
def test_success_rate(fake: WebFake, parts: dict[str, float], value: float | None, note: str) -> None:
    """Zero is said only where failures were counted; a label of another name is not a failure of everything."""
    fake.answer = lambda _: vector(at=NOW, **parts)
    reading = metrics_of(fake).success_rate("webhooks")
    assert (reading.value, reading.note) == (value, note)


def test_queries_have_the_names_of_the_runbook() -> None:
    """With the queue as a label, as in the alert rules."""
    names = MetricNames()
    assert 'max(tokpulse_dlq_depth{queue="jobs"})' in metric_queries.depth(names, "jobs").query
    assert (
        'rate(tokpulse_dlq_messages_total{queue="jobs"}[5m])' in metric_queries.growth_per_minute(names, "jobs").query
    )
    assert (
        'increase(tokpulse_job_attempts_total{queue="jobs",status="failed"}[1h])'
        in metric_queries.failures_per_hour(names, "jobs").query
    )
    assert 'rate(tokpulse_job_processed_total{queue="jobs"}[5m])' in metric_queries.processing_rate(names, "jobs").query


def test_names_can_be_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table [metrics] of dlq.toml renames metrics and labels; the queue's label can be left out."""
    file = tmp_path / "dlq.toml"
    file.write_text('[metrics]\ndepth = "shop_dead"\nqueue_label = ""\nlabels = {env = "a\\"b"}\n', encoding="utf-8")
    monkeypatch.setenv("DLQ_CONFIG", str(file))
    assert metric_queries.depth(load_settings().metrics, "jobs").selector == 'shop_dead{env="a\\"b"}'


@pytest.mark.parametrize(
    "wrong", ['depth = "a b"', 'depth = "x{}"', 'queue_label = "a-b"', 'window = "5"', "labels = {'a b' = 'c'}"]
)
def test_names_that_would_break_a_query_are_refused(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake is found when the settings are read, not in the middle of an incident."""
    file = tmp_path / "dlq.toml"
    file.write_text(f"[metrics]\n{wrong}\n", encoding="utf-8")
    monkeypatch.setenv("DLQ_CONFIG", str(file))
    with pytest.raises(ConfigError, match="metrics"):
        load_settings()


def test_logins_are_sent_and_never_shown(fake: WebFake) -> None:
    """Bearer, basic and user information in the address; neither notes nor sources hold them."""
    fake.answer = lambda _: Answer(401)
    place = fake.url.removeprefix("http://")
    for settings, expected in (
        ({"prometheus_token": "tok-canary"}, "Bearer tok-canary"),
        ({"prometheus_user": "u", "prometheus_password": "pw-canary"}, "Basic dTpwdy1jYW5hcnk="),
        ({"prometheus_url": f"http://u:pw-canary@{place}"}, "Basic dTpwdy1jYW5hcnk="),
    ):
        metrics = Metrics.of(Settings.model_validate({"prometheus_url": fake.url, **settings}))
        assert "canary" not in repr(metrics.depth("webhooks"))
        assert fake.asked[-1].headers["Authorization"] == expected


def test_a_range_leaves_out_what_is_not_a_number(fake: WebFake) -> None:
    """And asks for no more points than Prometheus gives."""

    def answer(asked: Asked) -> Answer:
        assert float(asked.query["step"]) >= 30 * 86_400 / 10_000
        rows = [{"metric": {}, "values": [[NOW, "3"], [NOW + 60, "NaN"], [NOW + 120, "0"]]}]
        return Answer(body={"status": "success", "data": {"resultType": "matrix", "result": rows}})

    fake.answer = answer
    since = datetime.now(UTC) - timedelta(days=30)
    series = metrics_of(fake).depth_range("webhooks", since, timedelta(seconds=1))
    assert [value for _, value in series.points] == [3, 0]


def test_making_the_metrics_asks_nothing(fake: WebFake) -> None:
    """No connection is made before the first question."""
    metrics_of(fake).close()
    assert fake.asked == []
