"""Slack against a server that checks what Slack checks: one message an incident, whoever tells, whatever fails."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from dlq.brokers.redis_notebook import RedisNotebook
from dlq.brokers.redis_wire import Wire
from dlq.config.policy import Severity
from dlq.config.settings import Settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.notices import Notice, Question, Reached, State, Verdict, deliveries, send, show
from dlq.notices import patience as patience_module
from dlq.notices import slack_message as message_module
from dlq.records.timeline import tell
from tests.slack_server import CHANNEL, NAME, TOKEN, FakeSlack, Fault, fake_slack, texts

RUN = "webhooks-2026-11-25-0900-abcdef"
DLQ = "tokpulse:dlq:webhooks"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """Run a Slack of the test's own."""
    with fake_slack() as server:
        yield server


@pytest.fixture
def settings(slack: FakeSlack) -> Settings:
    """Give settings that name it."""
    return settings_of(slack)


@pytest.fixture
def notebook(embedded_server: EmbeddedRedis) -> Iterator[RedisNotebook]:
    """Give the empty notebook of a queue."""
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
    book = RedisNotebook("webhooks", DLQ, Wire(embedded_server.url))
    yield book
    book.close()


def settings_of(slack: FakeSlack, **more: Any) -> Settings:
    """Make settings for a Slack, with changes."""
    said = {"slack_token": TOKEN, "slack_channel": CHANNEL, "slack_url": slack.url, "slack_mentions": {"2": "U0ONCALL"}}
    return Settings.model_validate(said | more)


def notice(title: str = "Assessed", **more: Any) -> Notice:
    """Make a notice of the run."""
    return Notice(**({"kind": "assessment", "queue": "webhooks", "title": title, "run_id": RUN} | more))


def test_an_incident_is_one_message_that_is_updated(
    slack: FakeSlack, settings: Settings, notebook: RedisNotebook
) -> None:
    """State, depth, progress and verdicts replace each other in one message; notices are lines in its thread."""
    send(settings, notebook, notice("Assessed: 1,000 messages", severity=Severity.HIGH))
    show(
        settings,
        notebook,
        RUN,
        "webhooks",
        state=State.DRAINING,
        depth=500,
        depth_first=1000,
        planned=1000,
        selected=500,
    )
    verdicts = (Verdict("email · TimeoutError", "delivered", 400, 2), Verdict("sync · KeyError", "stopped", 10, 10))
    show(settings, notebook, RUN, "webhooks", state=State.RESOLVED, depth=90, selected=910, verdicts=verdicts)
    send(settings, notebook, notice("Resolved", kind="resolved"))
    (root,) = slack.roots
    said = texts(root)
    assert "webhooks: resolved" in root["blocks"][0]["text"]["text"]
    assert "90 (was 1,000)" in said
    assert "910 of 1,000" in said
    assert "email · TimeoutError: delivered, 400 redriven, 2 bounced" in said
    assert said.index("KeyError: stopped") < said.index("email")
    assert [reply["thread_ts"] for reply in slack.replies] == [root["ts"]] * 2
    assert slack.refused == []


def test_another_process_updates_the_same_message(
    slack: FakeSlack, settings: Settings, notebook: RedisNotebook, embedded_server: EmbeddedRedis
) -> None:
    """Which message belongs to the incident is in the notebook, not in a process."""
    show(settings, notebook, RUN, "webhooks", state=State.OPEN)
    other = RedisNotebook("webhooks", DLQ, Wire(embedded_server.url))
    show(settings, other, RUN, "webhooks", state=State.DRAINING)
    other.close()
    (root,) = slack.roots
    assert "draining" in root["text"]


def test_two_at_once_make_one_message(slack: FakeSlack, settings: Settings, embedded_server: EmbeddedRedis) -> None:
    """Eight processes that tell at the same moment make one message, with all of their lines in its thread."""
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()

    def one(number: int) -> None:
        book = RedisNotebook("webhooks", DLQ, Wire(embedded_server.url))
        send(settings, book, notice(f"line {number}"))
        book.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert len(slack.roots) == 1
    assert len(slack.replies) == 8


def test_the_same_notice_is_told_once(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """A step that is tried again says nothing twice."""
    first = send(settings, notebook, notice())
    second = send(settings, notebook, notice())
    assert [one.reached for one in first] == [Reached.NOT_CONFIGURED, Reached.SENT]
    assert [one.reached for one in second] == [Reached.NOT_CONFIGURED, Reached.BEFORE]
    assert len(slack.replies) == 1


def test_an_answer_that_was_lost_makes_no_second_message(
    slack: FakeSlack, settings: Settings, notebook: RedisNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that was posted although the answer never came is found again in the channel by its run."""
    slack.faults.append(Fault("drop", "chat.postMessage"))
    lost = show(settings, notebook, RUN, "webhooks", state=State.OPEN)
    forget_failure(notebook)
    monkeypatch.setattr(message_module, "CLAIM", patience_module.COOLING * 0)  # as if the claim were old
    show(settings, notebook, RUN, "webhooks", state=State.DRAINING)
    assert lost.reached is Reached.FAILED
    (root,) = slack.roots
    assert "draining" in root["text"]


def test_without_the_right_to_look_it_is_posted_again(
    slack: FakeSlack, settings: Settings, notebook: RedisNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the scope channels:history people see two messages rather than none."""
    slack.missing_scopes.add("conversations.history")
    slack.faults.append(Fault("drop", "chat.postMessage"))
    show(settings, notebook, RUN, "webhooks", state=State.OPEN)
    forget_failure(notebook)
    monkeypatch.setattr(message_module, "CLAIM", patience_module.COOLING * 0)
    found = show(settings, notebook, RUN, "webhooks", state=State.DRAINING)
    assert found.reached is Reached.SENT
    assert len(slack.roots) == 2


def test_a_deleted_message_is_posted_anew(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """Somebody deletes the message; the next news makes a new one."""
    show(settings, notebook, RUN, "webhooks", state=State.OPEN)
    slack.messages.clear()
    found = show(settings, notebook, RUN, "webhooks", state=State.DRAINING)
    assert found.reached is Reached.SENT
    (root,) = slack.roots
    assert "draining" in root["text"]


def test_the_timeline_is_in_the_thread(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """Each line is there once, with who and when; a line that was told as a notice is not repeated."""
    tell(notebook, RUN, "alert", "HighDLQDepth fires", who="alertmanager", at=datetime(2026, 11, 25, 9, tzinfo=UTC))
    show(settings, notebook, RUN, "webhooks", state=State.OPEN)
    tell(notebook, RUN, "escalation", "level 2 is called")
    send(settings, notebook, notice("Level 2 is called", kind="escalation", level=2))
    show(settings, notebook, RUN, "webhooks", state=State.DRAINING)
    tell(notebook, RUN, "wave", "wave 1 is done")
    show(settings, notebook, RUN, "webhooks", state=State.VERIFYING)
    said = [texts(reply) for reply in slack.replies]
    assert [sum(word in line for line in said) for word in ("HighDLQDepth", "evel 2 is called", "wave 1")] == [1, 1, 1]
    assert "09:00:00 UTC  HighDLQDepth fires (alertmanager)" in said[0]


def test_an_escalation_mentions_its_people(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """The level's people are mentioned, and the line is seen in the channel too."""
    send(settings, notebook, notice("Not resolved in time", kind="escalation", level=2))
    send(settings, notebook, notice("Nobody is set for this level", kind="escalation", level=3))
    first, second = slack.replies
    assert "<@U0ONCALL>" in texts(first)
    assert first["reply_broadcast"] is True
    assert "<@" not in texts(second)


def test_a_foreign_text_rings_no_telephone(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """What stands in an error text is text, not a mention, a link or a format."""
    evil = "<!channel> <@U0ONCALL> <https://evil.example|reset your password> *bold*"
    send(settings, notebook, notice(evil, text=evil))
    show(settings, notebook, RUN, "webhooks", verdicts=(Verdict(evil, "stopped", 1, 1),), state=State.STOPPED)
    for message in slack.messages.values():
        assert not any(mark in texts(message) + message["text"] for mark in ("<!channel", "<@U", "<https", " *bold*"))


def test_the_plot_is_uploaded_into_the_thread(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """The file's bytes arrive, in the thread of the incident."""
    send(settings, notebook, notice(plot=b"\x89PNG made up"))
    (upload,) = slack.uploads
    assert b"\x89PNG made up" in upload["data"]
    assert (upload["channel"], upload["thread_ts"]) == (CHANNEL, slack.roots[0]["ts"])


def test_a_channel_may_be_given_by_name(slack: FakeSlack, notebook: RedisNotebook) -> None:
    """Updates go to the id that Slack gave for the name."""
    settings = settings_of(slack, slack_channel=NAME)
    show(settings, notebook, RUN, "webhooks", state=State.OPEN)
    found = show(settings, notebook, RUN, "webhooks", state=State.DRAINING)
    assert found.reached is Reached.SENT
    assert len(slack.roots) == 1


def test_a_huge_incident_fits(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """A million messages of 400 signatures with long texts of angle brackets stay within Slack's limits."""
    ugly = "<&>" * 400
    verdicts = tuple(
        Verdict(f"{number} {ugly}", ("stopped", "delivered", "partial")[number % 3], 1_000_000 // 400, number)
        for number in range(400)
    )
    for number in range(300):
        tell(notebook, RUN, "wave", f"wave {number} {ugly[:300]}")
    show(
        settings,
        notebook,
        RUN,
        "webhooks",
        state=State.WAITING,
        headline=ugly * 10,
        depth=1_000_000,
        depth_first=1_000_000,
        planned=1_000_000,
        selected=1,
        verdicts=verdicts,
        question=Question("hash", ugly * 10),
        links={f"{number} {ugly}": f"https://prefect.internal/{number}" for number in range(30)},
    )
    found = send(settings, notebook, notice(ugly * 10, text=ugly * 10, kind="plan"))
    assert slack.refused == []
    assert found[-1].reached is Reached.SENT
    assert "and 388 more signatures" in texts(slack.roots[0])
    assert slack.roots[0]["text"]


@pytest.mark.parametrize("kind", ["429", "500", "hang", "dribble", "html"])
def test_a_slack_that_is_down_costs_seconds_once(
    slack: FakeSlack, settings: Settings, notebook: RedisNotebook, kind: str
) -> None:
    """The first notice fails in bounded time, the following ones are not even tried, and the report can say so."""
    slack.always = Fault(kind)
    first = send(settings, notebook, notice("one"))[-1]
    tried = len(slack.calls)
    began = time.monotonic()
    later = [send(settings, notebook, notice(f"more {number}"))[-1] for number in range(20)]
    shown = [show(settings, notebook, RUN, "webhooks", selected=number) for number in range(20)]
    assert first.reached is Reached.FAILED
    assert kind != "dribble" or first.note == "no answer within 4 s"  # no time-out of a socket sees that
    assert {one.reached for one in later + shown} == {Reached.DOWN}
    assert len(slack.calls) == tried
    assert time.monotonic() - began < 40  # each time-out alone would be 80 s and more
    missed = [one for one in deliveries(notebook, RUN) if one.missed]
    assert [one.title for one in missed][:2] == ["one", "more 0"]


def test_a_short_rest_is_waited_for(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """A 429 that asks for one second is honoured, and the message gets through."""
    slack.faults.append(Fault("429", seconds=1))
    assert show(settings, notebook, RUN, "webhooks", state=State.OPEN).reached is Reached.SENT
    assert len(slack.roots) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [({"slack_token": "xoxb-wrong"}, "invalid_auth"), ({"slack_channel": "C0WRONG"}, "channel_not_found")],
)
def test_a_wrong_set_up_is_said_and_remembered(
    slack: FakeSlack, notebook: RedisNotebook, change: dict[str, str], code: str
) -> None:
    """Slack's own word for it is in the delivery, and Slack is left alone by this run, not by others."""
    settings = settings_of(slack, **change)
    first = send(settings, notebook, notice("one"))[-1]
    second = send(settings, notebook, notice("two"))[-1]
    other = send(settings, notebook, notice("three", run_id="webhooks-other"))[-1]
    assert code in first.note
    assert (second.reached, code in second.note) == (Reached.DOWN, True)
    assert other.reached is Reached.FAILED


def test_a_slack_that_comes_back_is_used_again(slack: FakeSlack, settings: Settings, notebook: RedisNotebook) -> None:
    """After the cooling time the next notice is sent, and the message shows the newest state."""
    slack.faults.append(Fault("500"))
    assert show(settings, notebook, RUN, "webhooks", state=State.OPEN).reached is Reached.FAILED
    forget_failure(notebook)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_module, "CLAIM", patience_module.COOLING * 0)
        assert send(settings, notebook, notice())[-1].reached is Reached.SENT
    assert len(slack.roots) == 1


def test_too_slow_for_too_long_is_left_alone(
    slack: FakeSlack, settings: Settings, notebook: RedisNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a channel may cost a run in all is bounded, however often it comes back."""
    monkeypatch.setattr(patience_module, "MOST", 1.0)
    slack.faults.append(Fault("hang"))
    send(settings, notebook, notice("one"))
    forget = send(settings, notebook, notice("two"))[-1]
    assert "for the rest of this run" in forget.note


def test_a_notebook_that_is_down_keeps_nobody_from_hearing(slack: FakeSlack, settings: Settings) -> None:
    """Redis is what failed; people hear of it, through Slack."""
    nowhere = RedisNotebook("webhooks", DLQ, Wire("redis://127.0.0.1:1/0"))
    found = send(settings, nowhere, notice("Redis does not answer", kind="failed"))
    assert found[-1].reached is Reached.SENT
    assert len(slack.replies) == 1


def forget_failure(notebook: RedisNotebook) -> None:
    """Do as if the channel's cooling time were over."""
    notebook.erase(f"run:{RUN}:channels", "slack until")
