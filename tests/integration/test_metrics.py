"""The runbook's metrics from a real Prometheus."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from dlq.config.settings import Settings
from dlq.systems.metrics import Metrics, Reading
from tests.certificates import make_certificates
from tests.prometheus_server import Shown, prometheus_server

# the password is "secret"
BASIC = "basic_auth_users: {reader: $2b$04$ccAEMhkZqPfjkY720oc2IevnMF5zPIl8z2cOt4rpMxR3CFhVVpgmW}\n"


def counters(step: int) -> str:
    """Show the metrics of webhooks after `step` half seconds: 20 messages a second come, 9 of 10 tries go well."""
    return f"""
tokpulse_dlq_depth{{queue="webhooks"}} {1_000 + step * 10}
tokpulse_dlq_depth{{queue="jobs"}} 0
tokpulse_dlq_messages_total{{queue="webhooks"}} {step * 10}
tokpulse_job_attempts_total{{queue="webhooks",status="failed"}} {step}
tokpulse_job_processed_total{{queue="webhooks",status="success"}} {step * 9}
tokpulse_job_processed_total{{queue="webhooks",status="failed"}} {step}
"""


def wait_for(read: Callable[[], Reading]) -> Reading:
    """Read until there is a value."""
    for _ in range(600):
        reading = read()
        if reading.value is not None:
            return reading
        time.sleep(0.1)
    raise AssertionError(reading.note)


@pytest.fixture(scope="module")
def shown() -> Shown:
    """Give what Prometheus scrapes."""
    return Shown(counters(0))


@pytest.fixture(scope="module")
def url(shown: Shown, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus on counters that grow steadily."""
    over = threading.Event()

    def grow() -> None:
        start = time.monotonic()
        while not over.wait(0.1):
            if shown.text is not None:
                shown.text = counters(int((time.monotonic() - start) * 2))

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        with prometheus_server(tmp_path_factory.mktemp("prometheus"), shown) as address:
            yield address
    finally:
        over.set()
        growing.join()


@pytest.fixture
def metrics(url: str) -> Metrics:
    """Connect to it."""
    return Metrics.of(Settings(prometheus_url=url))


def test_instant_readings(metrics: Metrics) -> None:
    """Depth, growth, failures, processing and success rate come out near the truth."""
    depth = wait_for(lambda: metrics.depth("webhooks"))
    assert depth.value is not None
    assert depth.value >= 1_000
    assert abs((datetime.now(UTC) - depth.at).total_seconds()) < 60
    growth = wait_for(lambda: metrics.growth_per_minute("webhooks")).value
    success = wait_for(lambda: metrics.success_rate("webhooks")).value
    assert growth is not None
    assert growth > 0
    assert success == pytest.approx(0.9, abs=0.05)
    assert (wait_for(lambda: metrics.failures_per_hour("webhooks")).value or 0) > 0
    assert (wait_for(lambda: metrics.processing_rate("webhooks")).value or 0) > 0


def test_a_measured_zero_is_a_zero(metrics: Metrics) -> None:
    """An empty DLQ that the exporter shows is known to be empty."""
    assert wait_for(lambda: metrics.depth("jobs")).value == 0


def test_a_queue_without_series_is_unknown(metrics: Metrics) -> None:
    """It is not empty: nobody measured it."""
    wait_for(lambda: metrics.depth("webhooks"))
    for read in (metrics.depth, metrics.growth_per_minute, metrics.success_rate, metrics.failures_per_hour):
        reading = read("experiments")
        assert (reading.value, reading.note.startswith("no series")) == (None, True)


def test_depth_over_time(metrics: Metrics) -> None:
    """The points rise, oldest first."""
    wait_for(lambda: metrics.depth("webhooks"))
    series = metrics.depth_range("webhooks", datetime.now(UTC) - timedelta(minutes=1), timedelta(seconds=1))
    values = [value for _, value in series.points]
    assert values
    assert values == sorted(values)
    assert series.note == ""


def test_an_exporter_that_is_gone_makes_everything_unknown(tmp_path: Path) -> None:
    """Counters keep a rate for five minutes in Prometheus; the readings do not fall for it."""
    shown = Shown(counters(1))
    with prometheus_server(tmp_path / "prometheus", shown) as address:
        metrics = Metrics.of(Settings(prometheus_url=address))
        wait_for(lambda: metrics.growth_per_minute("webhooks"))
        shown.text = None
        for _ in range(600):
            if metrics.depth("webhooks").value is None:
                break
            time.sleep(0.1)
        growth = metrics.growth_per_minute("webhooks")
        assert growth.value is None
        assert "stale" in growth.note


def test_tls_with_an_own_authority_and_a_login(tmp_path: Path) -> None:
    """With the right file, user and password it answers; with a wrong password or no authority it says so."""
    files = make_certificates(tmp_path)
    tls = f"tls_server_config: {{cert_file: {files['cert']}, key_file: {files['key']}}}\n"
    trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(files["ca"])), auth=("reader", "secret"))
    with prometheus_server(tmp_path / "prometheus", Shown(counters(1)), web_config=tls + BASIC, client=trusting) as url:
        known = {"prometheus_url": url, "prometheus_user": "reader", "prometheus_retries": 0}
        right = Settings.model_validate({**known, "prometheus_password": "secret", "prometheus_ca": files["ca"]})
        wrong = Settings.model_validate({**known, "prometheus_password": "guess", "prometheus_ca": files["ca"]})
        untrusted = Settings.model_validate({**known, "prometheus_password": "secret"})
        assert wait_for(lambda: Metrics.of(right).depth("webhooks")).value == 1_010
        assert "refused the login (401)" in Metrics.of(wrong).depth("webhooks").note
        assert "down" in Metrics.of(untrusted).depth("webhooks").note
