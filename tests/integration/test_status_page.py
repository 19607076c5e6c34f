"""The status page's hook: what is sent, how often, and what a page that is down or refuses costs."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import Settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.assess import assess
from dlq.engine.run import Kind, Request, start
from dlq.incident_report.public import close_page, open_page
from dlq.notices import Notice, Reached, update_status_page
from dlq.summaries.story import Story
from tests.messages import dead_letters
from tests.web_fake import DROP, HANG, Answer, WebFake, web_fake

NOTICE = Notice("investigating", "webhooks", "Delayed processing", "We look {into} it", run_id="webhooks-1")


@pytest.fixture
def web() -> Iterator[WebFake]:
    """Run a status page."""
    with web_fake(lambda _asked: Answer(201)) as fake:
        yield fake


def settings_of(web: WebFake, **more: Any) -> Settings:
    """Make settings that name it."""
    said = {"status_page_url": f"{web.url}/hook", "status_page_auth": "OAuth made-up"} | more
    return Settings.model_validate(said)


def test_a_state_is_sent_once(web: WebFake) -> None:
    """With the header and the JSON of the settings; the same state again is not sent again, another one is."""
    settings, notebook = settings_of(web), MemoryNotebook()
    first = update_status_page(settings, notebook, NOTICE)
    again = update_status_page(settings, notebook, NOTICE)
    assert (first.reached, again.reached) == (Reached.SENT, Reached.BEFORE)
    (asked,) = web.asked
    assert asked.headers["Authorization"] == "OAuth made-up"
    assert asked.json == {"title": "Delayed processing", "status": "investigating", "message": "We look {into} it"}


def test_the_body_is_the_settings_own(web: WebFake) -> None:
    """Whatever JSON a page wants, with the words filled in wherever they stand, and nothing filled in twice."""
    body = {"incident": {"name": "{title}: {run}", "parts": ["{queue}", 1, {"s": "{status}"}], "body": "{text} {x}"}}
    settings = settings_of(web, status_page_body=body, status_page_method="PATCH")
    notice = Notice("resolved", "webhooks", "{text}", "done", run_id="r-1")
    assert update_status_page(settings, MemoryNotebook(), notice).reached is Reached.SENT
    (asked,) = web.asked
    assert asked.method == "PATCH"
    assert asked.json == {
        "incident": {"name": "{text}: r-1", "parts": ["webhooks", 1, {"s": "resolved"}], "body": "done {x}"}
    }


def test_without_an_address_it_says_so() -> None:
    """Not configured is an answer."""
    assert update_status_page(Settings(), MemoryNotebook(), NOTICE).reached is Reached.NOT_CONFIGURED


@pytest.mark.parametrize("answer", [Answer(500), Answer(429), HANG, DROP], ids=["500", "429", "hangs", "drops"])
def test_a_page_that_is_down_is_left_alone(web: WebFake, answer: Answer) -> None:
    """The first call fails in bounded time, the next is not made for a while."""
    web.answer = lambda _asked: answer
    settings, notebook = settings_of(web), MemoryNotebook()
    began = time.monotonic()
    first = update_status_page(settings, notebook, NOTICE)
    assert (first.reached, time.monotonic() - began < 30) == (Reached.FAILED, True)
    later = update_status_page(settings, notebook, Notice("resolved", "webhooks", "t", run_id="webhooks-1"))
    assert later.reached is Reached.DOWN
    assert "left alone until" in later.note
    assert len(web.asked) == 1


@pytest.mark.parametrize("status", [301, 401, 404])
def test_a_page_that_refuses_is_left_alone_for_the_run(web: WebFake, status: int) -> None:
    """A wrong address or credential does not get better by itself; a redirect takes no credential elsewhere."""
    web.answer = lambda _asked: Answer(status)
    settings, notebook = settings_of(web), MemoryNotebook()
    first = update_status_page(settings, notebook, NOTICE)
    later = update_status_page(settings, notebook, Notice("resolved", "webhooks", "t", run_id="webhooks-1"))
    assert str(status) in first.note
    assert "for the rest of this run" in later.note


@pytest.mark.parametrize(
    ("count", "taken", "states"),
    [(1_500, True, ["investigating", "resolved"]), (1_500, False, ["investigating", "monitoring"]), (5, True, [])],
)
def test_the_public_hears_of_severe_incidents_only(
    web: WebFake, embedded_server: EmbeddedRedis, *, count: int, taken: bool, states: list[str]
) -> None:
    """A severe incident is on the page, over only when workers took it all; a small one is nobody else's business."""
    settings = settings_of(web, redis_url=embedded_server.url)
    with (
        redis.Redis.from_url(embedded_server.url) as client,
        open_queue(settings, "webhooks") as (queue, config),
        open_notebook(settings, "webhooks") as notebook,
    ):
        client.flushall()
        client.lpush("tokpulse:dlq:webhooks", *dead_letters(count))
        before = assess(queue, config)
        open_page(settings, notebook, before, "webhooks-1")
        run = start(queue, config, Request(Kind.DRAIN, "ada"), "webhooks-1")
        run.wave(1)
        run.finish()
        if taken:
            client.delete("tokpulse:webhooks")
        close_page(settings, notebook, Story.of(queue, config, "webhooks-1"), before)
    assert [asked.json["status"] for asked in web.asked] == states
    assert not any(word in str(asked.json) for asked in web.asked for word in ("Timeout", "DLQ", "webhooks-1"))
