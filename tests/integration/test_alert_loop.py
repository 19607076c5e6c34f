"""A backlog becomes a drained queue with nobody there: the real programs, and what happens when one of them dies."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import Settings
from dlq.records.notebook import Notebook
from dlq.records.timeline import timeline
from tests.alert_loop import Loop, until

pytestmark = pytest.mark.timeout(600)
BACKLOG = 1_200  # over the rule's 1,000


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Run everything."""
    with Loop(tmp_path_factory.mktemp("loop")) as started:
        yield started


def drained(loop: Loop, queue: str) -> bool:
    """Say whether the queue's one incident has ended well, with its messages in the live queue."""
    runs = loop.runs(queue)
    return [run["state_type"] for run in runs] == ["COMPLETED"] and loop.client.llen(f"tokpulse:{queue}") == BACKLOG


def heard(notebook: Notebook, run_id: str) -> bool:
    """Say whether the timeline tells that the depth alert resolved."""
    return any("HighDLQDepth" in said.text for said in timeline(notebook, run_id) if said.kind == "resolved")


def test_a_backlog_is_drained_and_the_alert_resolves(loop: Loop) -> None:
    """Exporter, rule, Alertmanager, receiver, Prefect, flow; then the depth is 0 and the incident hears of it."""
    loop.fill("webhooks", BACKLOG)
    until(lambda: "HighDLQDepth" in loop.firing("webhooks"), "the alert fires")
    until(lambda: drained(loop, "webhooks"), "the queue is drained")
    until(lambda: "HighDLQDepth" not in loop.firing("webhooks"), "the alert resolves")
    settings = Settings(redis_url=SecretStr(loop.redis.url))
    with open_queue(settings, "webhooks") as (queue, _), open_notebook(settings, "webhooks") as notebook:
        (record,) = queue.runs(10)
        assert record.redriven == BACKLOG
        assert record.who.startswith("alert ")
        until(lambda: heard(notebook, record.run_id), "the timeline tells that the alert resolved")
    assert len(loop.runs("webhooks")) == 1


def test_a_prefect_that_was_down_gets_the_incident_once(loop: Loop) -> None:
    """Killed before the alert fires, started again after it was refused: Alertmanager's next try starts the run."""
    loop.kill("prefect")
    refused = loop.received(503)
    loop.fill("jobs", BACKLOG)
    until(lambda: loop.received(503) > refused + 1, "the receiver has refused posts")
    loop.start("prefect")
    loop.await_ready("prefect")
    until(lambda: drained(loop, "jobs"), "the queue is drained")
    assert len(loop.runs("jobs")) == 1


def test_a_receiver_that_was_killed_gets_the_incident_once(loop: Loop) -> None:
    """Killed between the alert and its post, and started again: what it knew lies in the notebook."""
    loop.fill("experiments", BACKLOG)
    until(lambda: loop.notified("experiments"), "Alertmanager knows the alert")
    loop.kill("receiver")
    loop.start("receiver")
    loop.await_ready("receiver")
    until(lambda: drained(loop, "experiments"), "the queue is drained")
    # A drained queue may still have an alert about its growth, minutes later: that is another alert, and another run.
    alerts = [run["parameters"]["alert"] for queue in ("webhooks", "jobs", "experiments") for run in loop.runs(queue)]
    told = [(alert["fingerprint"], alert["starts_at"]) for alert in alerts]
    assert len(told) == len(set(told)) >= 3
