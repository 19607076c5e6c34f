"""Channels that apprise has an address for, against a web server: who is told, how, and what one that fails costs."""

from collections.abc import Iterator
from typing import Any

import pytest

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.policy import Severity
from dlq.config.settings import Settings
from dlq.notices import Delivery, Notice, Reached, send
from tests.web_fake import HANG, Answer, WebFake, web_fake

RUN = "webhooks-1"


@pytest.fixture
def web() -> Iterator[WebFake]:
    """Run a server that takes what it is sent."""
    with web_fake(lambda _asked: Answer(200, {})) as fake:
        yield fake


def settings_of(*addresses: str) -> Settings:
    """Make settings that name these addresses."""
    return Settings.model_validate({"notify_urls": " ".join(addresses)})


def hook(web: WebFake, path: str) -> str:
    """Give the apprise address of a path on the server."""
    return f"{web.url.replace('http', 'json')}/{path}"


def told(settings: Settings, notebook: MemoryNotebook | None = None, **changed: Any) -> list[Delivery]:
    """Tell a notice; give what became of it on all channels but Slack, which is not set up."""
    said = {"kind": "escalation", "queue": "webhooks", "title": "Level 2 is called", "text": "nobody came"}
    notice = Notice(**(said | {"run_id": RUN} | changed))
    return [one for one in send(settings, notebook or MemoryNotebook(), notice) if one.channel != "slack"]


@pytest.mark.parametrize(
    ("severity", "kind"),
    [(None, "info"), (Severity.NONE, "info"), (Severity.HIGH, "warning"), (Severity.CRITICAL, "failure")],
)
def test_a_notice_arrives(web: WebFake, severity: Severity | None, kind: str) -> None:
    """With its queue, its run and its link, and as urgent as its severity."""
    (found,) = told(settings_of(hook(web, "a")), severity=severity, link="https://prefect.internal/run")
    assert (found.channel, found.reached) == ("json", Reached.SENT)
    (asked,) = web.asked
    assert asked.json["title"] == "[webhooks] Level 2 is called"
    assert asked.json["message"] == f"nobody came\nhttps://prefect.internal/run\nrun {RUN}"
    assert asked.json["type"] == kind


def test_each_address_is_a_channel_of_its_own(web: WebFake) -> None:
    """One that refuses and one that hangs keep nobody else from hearing; names tell them apart, without addresses."""
    answers = {"/broken": Answer(500), "/slow": HANG}
    web.answer = lambda asked: answers.get(asked.path, Answer(200, {}))
    found = told(settings_of(hook(web, "broken"), hook(web, "slow"), hook(web, "good")))
    reached = {one.channel: one.reached for one in found}
    assert reached == {"json": Reached.FAILED, "json 2": Reached.FAILED, "json 3": Reached.SENT}
    assert not any(web.url in f"{one.note}{one.channel}" for one in found)


def test_what_went_through_is_not_told_again(web: WebFake) -> None:
    """A step that is tried again tells only those who have not heard."""
    web.answer = lambda asked: Answer(500 if asked.path == "/broken" else 200, {})
    settings, notebook = settings_of(hook(web, "broken"), hook(web, "good")), MemoryNotebook()
    told(settings, notebook)
    again = told(settings, notebook)
    assert {one.channel: one.reached for one in again} == {"json": Reached.DOWN, "json 2": Reached.BEFORE}
    assert web.paths().count("POST /good") == 1


def test_progress_wakes_nobody(web: WebFake) -> None:
    """Progress is for Slack's thread, not for telephones."""
    told(settings_of(hook(web, "a")), kind="progress")
    assert web.asked == []


@pytest.mark.parametrize("address", ["nonsense://x", "no-address-at-all"])
def test_an_address_that_is_none_is_said(web: WebFake, address: str) -> None:
    """It fails for the rest of the run, naming the setting and not the address; the others are told."""
    notebook, settings = MemoryNotebook(), settings_of(address, hook(web, "good"))
    first, other = told(settings, notebook)
    second, _ = told(settings, notebook, title="another")
    assert ("DLQ_NOTIFY_URLS" in first.note, address in first.note) == (True, False)
    assert "for the rest of this run" in second.note
    assert other.reached is Reached.SENT
