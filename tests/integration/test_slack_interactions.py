"""`POST /slack/interactions` on the receiver: presses that Slack posts become answers that runs see."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
import redis
from fastapi import FastAPI

from deployments.receiver import answers
from deployments.receiver.body import BodyLimit
from deployments.receiver.notebooks import Notebooks
from deployments.receiver.routes import slack as route
from deployments.receiver.starting import Prefect
from deployments.receiver.tools import Receiver
from dlq.admission import approvals
from dlq.brokers.opening import open_notebook
from dlq.config.settings import Settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.notices import Notice, send
from tests.presses import SECRET, body_of, buttons, signed
from tests.slack_server import CHANNEL, TOKEN, FakeSlack, Fault, fake_slack, texts
from tests.unit.test_plan import plan

RUN = "webhooks-2026-11-25-0900-abcdef"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """Run a Slack of the test's own."""
    with fake_slack() as server:
        yield server


@pytest.fixture
def settings(slack: FakeSlack, embedded_server: EmbeddedRedis) -> Settings:
    """Give settings of a run that has asked people, in Slack."""
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
    said = {"redis_url": embedded_server.url, "slack_token": TOKEN, "slack_channel": CHANNEL, "slack_url": slack.url}
    settings = Settings.model_validate(said | {"slack_signing_secret": SECRET, "slack_approvers": ("U0ADA", "U0BOB")})
    with open_notebook(settings, "webhooks") as notebook:
        approvals.ask(notebook, RUN, plan(), ("the queue is at level 3",), timedelta(hours=1))
        send(settings, notebook, Notice("approval", "webhooks", "A plan waits for you", run_id=RUN))
    return settings


def post(settings: Settings, body: bytes, headers: dict[str, str]) -> int:
    """Post to the route, served as the receiver does; give the status, when what follows it is done."""

    async def one() -> int:
        receiver = Receiver(settings, cast("Prefect", None), Notebooks(settings))
        app = FastAPI()
        app.state.receiver = receiver
        answers.install(app)
        app.add_middleware(BodyLimit)
        app.include_router(route.router)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            response = await client.post("/slack/interactions", content=body, headers=headers)
        await asyncio.gather(*receiver._tasks)
        await receiver.close()
        return response.status_code

    return asyncio.run(one())


def press(settings: Settings, element: dict[str, Any], *user: str, **signing: Any) -> int:
    """Press a button."""
    body = body_of(element, *user)
    return post(settings, body, signed(body, **signing))


def decision(settings: Settings) -> approvals.Decision | None:
    """Give the answer that the run sees."""
    with open_notebook(settings, "webhooks") as notebook:
        return approvals.decision(notebook, RUN, plan().hash)


def test_a_press_is_the_answer(slack: FakeSlack, settings: Settings) -> None:
    """The run sees who approved; the message loses its buttons and says so, without a second message."""
    (root,) = slack.roots
    approve, _ = buttons(root)
    assert press(settings, approve) == 200
    found = decision(settings)
    assert found is not None
    assert (found.approved, found.who) == (True, "ada (U0ADA)")
    (root,) = slack.roots
    assert buttons(root) == []
    assert "approved by ada (U0ADA)" in texts(root)
    assert slack.whispers == []


def test_a_second_press_is_told_the_first(slack: FakeSlack, settings: Settings) -> None:
    """Bob rejects, Ada approves a moment later: rejected it stays, and Ada alone hears of it."""
    approve, reject = buttons(slack.roots[0])
    assert (press(settings, reject, "U0BOB", "bob"), press(settings, approve)) == (200, 200)
    found = decision(settings)
    assert found is not None
    assert not found.approved
    (whisper,) = slack.whispers
    assert (whisper["user"], "rejected by bob" in whisper["text"]) == ("U0ADA", True)


def test_who_may_not_is_told_so(slack: FakeSlack, settings: Settings) -> None:
    """Somebody who is on no list decides nothing and hears why."""
    approve, _ = buttons(slack.roots[0])
    assert press(settings, approve, "U0EVE", "eve") == 200
    assert decision(settings) is None
    (whisper,) = slack.whispers
    assert (whisper["user"], "DLQ_SLACK_APPROVERS" in whisper["text"]) == ("U0EVE", True)


@pytest.mark.parametrize("signing", [{"secret": "guessed"}, {"at": 1_700_000_000.0}])
def test_only_slack_may_post(slack: FakeSlack, settings: Settings, signing: dict[str, Any]) -> None:
    """A wrong signature or an old request is 401, and nobody is asked further."""
    approve, _ = buttons(slack.roots[0])
    assert press(settings, approve, **signing) == 401
    assert decision(settings) is None
    assert slack.whispers == []


def test_headers_may_be_missing(settings: Settings) -> None:
    """A post without any proof is 401 too, whatever it carries."""
    assert post(settings, b"payload=%7B%7D", {}) == 401


def test_what_is_signed_but_no_press_is_answered(slack: FakeSlack, settings: Settings) -> None:
    """A press on a link is 200, a body that cannot be read 400, a queue that is not known 422."""
    approve, _ = buttons(slack.roots[0])
    elsewhere = {**approve, "value": approve["value"].replace("webhooks", "nowhere", 1)}
    assert press(settings, {"action_id": "open", "value": ""}) == 200
    assert press(settings, elsewhere) == 422
    assert post(settings, b"x", signed(b"x")) == 400


def test_a_slack_that_is_down_loses_no_answer(slack: FakeSlack, settings: Settings) -> None:
    """The answer is kept although the message cannot be brought up to date."""
    approve, _ = buttons(slack.roots[0])
    slack.always = Fault("500")
    assert press(settings, approve) == 200
    assert decision(settings) is not None
