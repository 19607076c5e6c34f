"""What people are told while a flow works: on a real Prefect server, a real Redis, and a Slack of the test's own."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.notices import deliveries
from flows.incident import incident
from tests.messages import dead_letters
from tests.slack_server import CHANNEL, TOKEN, FakeSlack, Fault, fake_slack, texts

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"


@pytest.fixture
def world(
    embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[redis.Redis, FakeSlack]]:
    """Give a Redis with dead letters, and a Slack that the settings name."""
    with ExitStack() as stack:
        slack = stack.enter_context(fake_slack())
        monkeypatch.chdir(tmp_path)
        said = {"REDIS_URL": embedded_server.url, "HOME": str(tmp_path)}
        said |= {"SLACK_TOKEN": TOKEN, "SLACK_CHANNEL": CHANNEL, "SLACK_URL": slack.url}
        for name, value in said.items():
            monkeypatch.setenv(f"DLQ_{name}", value)
        client = stack.enter_context(redis.Redis.from_url(embedded_server.url))
        client.flushall()
        client.lpush(DLQ, *dead_letters(40))
        yield client, slack


def test_an_incident_is_told_from_its_assessment_to_its_outcome(world: tuple[redis.Redis, FakeSlack]) -> None:
    """One message says what the incident waits for; its thread has assessment and summary, each with its plot."""
    _, slack = world
    summary = incident(queue="webhooks", pace="fixed", batch=10, pause=0, max_batches=0)
    (root,) = slack.roots
    assert "webhooks: waiting for the workers" in root["text"]  # nobody has taken what was moved
    assert "40 of 40 messages" in texts(root)
    thread = "\n".join(texts(reply) for reply in slack.replies)
    assert "40 messages in the DLQ of webhooks" in thread
    assert summary["conservation"] in thread
    assert len(slack.uploads) == 2
    assert all(upload["data"].find(b"\x89PNG") >= 0 for upload in slack.uploads)
    assert slack.refused == []


def test_a_slack_that_hangs_fails_no_drain(world: tuple[redis.Redis, FakeSlack]) -> None:
    """Every message is moved, and what was not told can be read."""
    client, slack = world
    slack.always = Fault("hang")
    summary = incident(queue="webhooks", pace="fixed", batch=10, pause=0, max_batches=0)
    assert summary["redriven"] == client.llen(LIVE) == 40
    with open_notebook(load_settings(), "webhooks") as notebook:
        missed = [one for one in deliveries(notebook, summary["run_id"]) if one.missed]
    assert "does not answer" in missed[0].note
    assert len(slack.calls) <= 2


def test_a_failure_is_told(world: tuple[redis.Redis, FakeSlack]) -> None:
    """A flow run that fails says so in its incident's message, with the reason in the thread."""
    client, slack = world
    client.set(LIVE, "not a list")
    state = incident(queue="webhooks", pace="fixed", batch=10, pause=0, return_state=True)
    (root,) = slack.roots
    assert state.is_failed()
    assert "webhooks: failed" in root["text"]
    assert "WrongKeyTypeError" in texts(slack.replies[-1])
