"""The reports on a real Prefect server and a real Redis: what they publish, tell and remember, and what they cost."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.flows import Flow

from dlq.embedded.redis import EmbeddedRedis
from flows.depth_report import depth_report
from flows.drain import drain
from flows.weekly_review import weekly_review
from tests.prometheus_server import Shown, prometheus_server
from tests.servers import missing

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
    pytest.mark.usefixtures("prefect_server"),
]
DLQ = "tokpulse:dlq:webhooks"


@pytest.fixture
def client(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Give an empty Redis that the flows work on, with reports in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    monkeypatch.setenv("DLQ_TIMEZONE", "Europe/Berlin")
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        yield client


def fill(client: redis.Redis, count: int) -> None:
    """Let messages fail in the last two hours."""
    began = datetime.now(UTC) - timedelta(hours=2)
    pipe = client.pipeline(transaction=False)
    for number in range(count):
        failed = began + timedelta(seconds=7_000 * number / count)
        error = f"TimeoutError: gateway {number % 40}x timed out after {number} ms"
        message = {
            "id": f"m-{number}",
            "type": "order",
            "error": error,
            "failedAt": failed.isoformat(),
            "pad": "x" * 300,
        }
        pipe.lpush(DLQ, json.dumps(message))
    pipe.execute()


def report(flow: Flow[..., Any] = depth_report, **parameters: Any) -> FlowRun:
    """Make a report as a runner does; give the flow run."""
    with get_client(sync_client=True) as server:
        created = server.create_flow_run(flow, parameters=parameters)
        run_flow(flow, flow_run=created, parameters=parameters, return_type="state")
        return server.read_flow_run(created.id)


def artifacts(flow_run: FlowRun) -> dict[str, Any]:
    """Give what a flow run has published, by key."""
    with get_client(sync_client=True) as server:
        found = server.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
        )
    return {artifact.key: artifact.data for artifact in found}


def test_the_depth_report_publishes_and_draws(client: redis.Redis, tmp_path: Path) -> None:
    """A table with a row for each queue, signatures, a page with the picture in it, and the picture as a file."""
    fill(client, 1_200)
    run = report()
    published = artifacts(run)
    assert run.name == f"depth-report-{datetime.now(UTC):%Y-%m-%d}"
    assert run.state is not None
    assert run.state.type.value == "COMPLETED"
    rows = {row["queue"]: row for row in json.loads(published["depth-report"])}
    assert {name: row["depth"] for name, row in rows.items()} == {"webhooks": 1_200, "jobs": 0, "experiments": 0}
    assert rows["webhooks"]["over"] == "depth 1,200 is over the threshold of 1,000"
    assert json.loads(published["depth-report-signatures"])[0]["arrived"] == 1_200
    assert "data:image/png;base64," in published["depth-report-page"]
    assert "own samples (not configured" in published["depth-report-page"]
    assert len(list((tmp_path / "reports").glob("depth-*.png"))) == 2
    assert client.llen(DLQ) == 1_200


def test_people_are_told_once(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message for all queues; a retry tells nothing again, whatever other report came since, `tell` off nothing."""
    told = []
    monkeypatch.setattr("tasks.reporting.tell_people", lambda queue, notice: told.append((queue, notice)))
    fill(client, 5)
    report(tell=False)
    assert told == []
    run = report()
    review = report(weekly_review)
    run_flow(depth_report, flow_run=run, parameters={}, return_type="state")
    run_flow(weekly_review, flow_run=review, parameters={}, return_type="state")
    (_, notice), (_, other) = told
    assert other.kind == "weekly-review"
    assert (notice.kind, notice.queue) == ("depth-report", "all queues")
    assert notice.plot.startswith(b"\x89PNG")
    assert "webhooks: 5 in the DLQ" in notice.text


@pytest.mark.usefixtures("client")
def test_people_hear_of_a_report_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that only stays away would look like a quiet night."""
    told = []
    monkeypatch.setattr("flows.alarm.tell_people", lambda queue, notice: told.append((queue, notice)))
    monkeypatch.setattr("flows.depth_report.look_at_the_day", lambda _queue: 1 / 0)
    run = report()
    assert run.state is not None
    assert run.state.type.value == "FAILED"
    ((queue, notice),) = told
    assert (queue, notice.queue, notice.title) == ("webhooks", "all queues", "There is no depth-report")
    assert "division by zero" in notice.text


def test_memory_does_not_grow_with_the_queue(client: redis.Redis, embedded_server: EmbeddedRedis) -> None:
    """Two hundred thousand messages cost at most 30 MB more than two thousand: with a million it is the same."""
    used = []
    for count in (2_000, 200_000):
        client.flushall()
        for _ in range(count // 2_000):
            fill(client, 2_000)
        code = (
            "import re; from pathlib import Path; from zoneinfo import ZoneInfo;"
            "from dlq.config.settings import load_settings;"
            "from dlq.brokers.opening import open_queue, open_notebook; from dlq.systems.metrics import Metrics;"
            "from dlq.reports.nightly import look; from dlq.reports import nightly_words; s = load_settings()\n"
            "with open_queue(s, 'webhooks') as (q, c), open_notebook(s, 'webhooks') as n:\n"
            "    night = look(q, c, n, Metrics.of(s), ZoneInfo('UTC'))\n"
            "nightly_words.markdown([night], ZoneInfo('UTC'))\n"
            # ru_maxrss would be that of the process which forked this one.
            r"print(night.depth, re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1])"
        )
        env = {**os.environ, "DLQ_REDIS_URL": embedded_server.url}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        depth, kilobytes = map(int, done.stdout.split())
        assert depth == count
        used.append(kilobytes)
    assert used[1] - used[0] < 30_000, used


def test_the_weekly_review_publishes_and_tells(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a nightly report: thresholds, signatures and runs as tables, a page with the picture, one message."""
    told = []
    monkeypatch.setattr("tasks.reporting.tell_people", lambda queue, notice: told.append((queue, notice)))
    fill(client, 50)
    report(tell=False)
    drain(queue="webhooks", pace="none", reason="gateway is back")
    run = report(weekly_review)
    published = artifacts(run)
    assert run.name == f"weekly-review-{datetime.now(UTC):%Y-%m-%d}"
    assert {row["threshold"] for row in json.loads(published["weekly-review-thresholds"])} == {
        "depth_warn",
        "growth_per_minute",
    }
    assert sum(row["arrived"] for row in json.loads(published["weekly-review-signatures"])) == 50
    ((began,),) = [[row["reason"] for row in json.loads(published["weekly-review-runs"])]]
    assert began == "gateway is back"
    assert "data:image/png;base64," in published["weekly-review-page"]
    ((_, notice),) = told
    assert notice.kind == "weekly-review"
    assert client.llen(DLQ) == 0


def test_a_real_prometheus_knows_the_day(client: redis.Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The peak of ten hours ago and the depth of a day ago come from a range query; the report names the server."""
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool")
    now = int(time.time())
    depths = [(now - 60 * minutes, 4_321 if minutes == 600 else 77) for minutes in range(25 * 60, 0, -1)]
    lines = [f'tokpulse_dlq_depth{{queue="webhooks"}} {depth} {at}' for at, depth in depths]
    text = "\n".join(["# TYPE tokpulse_dlq_depth gauge", *lines, "# EOF", ""])
    (tmp_path / "day.om").write_text(text, encoding="utf-8")
    blocks = ["tsdb", "create-blocks-from", "openmetrics", tmp_path / "day.om", tmp_path / "prometheus" / "data"]
    subprocess.run([promtool, *blocks], check=True, capture_output=True)
    fill(client, 200)
    with prometheus_server(tmp_path / "prometheus", Shown()) as url:
        monkeypatch.setenv("DLQ_PROMETHEUS_URL", url)
        published = artifacts(report(queue="webhooks", tell=False))
    (row,) = json.loads(published["depth-report"])
    assert (row["peak in 24 h"], row["a day ago"], row["depth"]) == (4_321, 77, 200)
    assert row["over"] == "depth was 4,321 at its peak, over the threshold of 1,000"
    assert row["history"] == f"prometheus {url}"


def test_the_command_makes_the_same_reports(client: redis.Redis) -> None:
    """`dlq report nightly` and `weekly` need no Prefect; a day that the command kept is a day of the review."""
    fill(client, 30)
    program = Path(sys.executable).with_name("dlq")
    command = [program, "report", "nightly", "--queue", "webhooks", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (said,) = json.loads(done.stdout.splitlines()[-1])["queues"]
    assert (said["depth"], said["over"]) == (30, [])
    command = [program, "report", "weekly"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "webhooks: 30 arrived" in told
