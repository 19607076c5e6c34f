"""Buttons in Slack: only Slack's word counts, only approvers may press, and the first answer stands."""

from datetime import timedelta
from typing import Any

import pytest

from dlq.admission import approvals
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.settings import Settings
from dlq.errors import ApprovalError, BadArgumentError, NotAllowedError, NotGenuineError
from dlq.notices.incident import Incident, State
from dlq.notices.questions import with_question
from dlq.notices.slack_blocks import incident_message
from dlq.notices.slack_buttons import check, decide, read_press
from tests.presses import SECRET, body_of, buttons, signed
from tests.unit.test_plan import plan

RUN, NOW = "webhooks-1", 1_795_590_000.0
SETTINGS = Settings.model_validate({"slack_signing_secret": SECRET, "slack_approvers": ("U0ADA", "U0BOB")})
BODY = b"payload=%7B%7D"


def proved(body: bytes = BODY, settings: Settings = SETTINGS, **changed: Any) -> None:
    """Check a body that is signed as `changed` says."""
    headers = signed(body, at=changed.get("at", NOW), secret=changed.get("secret", SECRET))
    sent = changed.get("sent", body)
    stamp = changed.get("stamp", headers["X-Slack-Request-Timestamp"])
    check(settings, sent, stamp, changed.get("signature", headers["X-Slack-Signature"]), NOW)


@pytest.fixture
def notebook() -> MemoryNotebook:
    """Give a notebook in which a run waits for an answer to its plan."""
    notebook = MemoryNotebook()
    approvals.ask(notebook, RUN, plan(), ("the queue is at level 3",), timedelta(hours=1))
    return notebook


def shown(notebook: MemoryNotebook) -> dict[str, Any]:
    """Give the incident's message as it would be shown now."""
    text, blocks = incident_message(with_question(notebook, Incident(RUN, "webhooks", State.ASSESSED)))
    return {"text": text, "blocks": blocks}


def test_what_slack_signed_is_believed() -> None:
    """The signature over these very bytes, made within five minutes, before or after by our clock."""
    for at in (NOW, NOW - 299, NOW + 299):
        proved(at=at)


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "another"},
        {"sent": b"payload=%7B%22a%22%3A1%7D"},
        {"at": NOW - 301},
        {"at": NOW + 301},
        {"signature": ""},
        {"signature": "v0=é\udcff"},
        {"stamp": ""},
        {"stamp": "soon"},
        {"stamp": "-1"},
        {"stamp": "٣"},
        {"stamp": str(int(NOW) + 1)},
    ],
)
def test_everything_else_is_refused(changed: dict[str, Any]) -> None:
    """Another secret, another body, an old request, a missing or odd header."""
    with pytest.raises(NotGenuineError):
        proved(**changed)


def test_without_a_secret_nothing_is_believed() -> None:
    """An empty secret would let anybody sign."""
    with pytest.raises(NotGenuineError, match="DLQ_SLACK_SIGNING_SECRET"):
        proved(settings=Settings(), secret="")


def test_a_press_on_the_message_is_the_answer(notebook: MemoryNotebook) -> None:
    """The buttons that people see carry run and plan; the answer names who pressed, and the buttons go."""
    approve, reject = buttons(shown(notebook))
    assert (approve["text"]["text"], reject["text"]["text"]) == ("Approve", "Reject")
    press = read_press(body_of(approve))
    assert press is not None
    assert decide(SETTINGS, notebook, press).approved
    decision = approvals.decision(notebook, RUN, plan().hash)
    assert decision is not None
    assert (decision.who, decision.by) == ("ada (U0ADA)", "slack")
    assert buttons(shown(notebook)) == []
    assert "approved by ada (U0ADA)" in str(shown(notebook)["blocks"])


def test_the_first_press_stands(notebook: MemoryNotebook) -> None:
    """Two people press at once: the second is given the first one's answer."""
    approve, reject = buttons(shown(notebook))
    first, second = read_press(body_of(reject, "U0BOB", "bob")), read_press(body_of(approve))
    assert first is not None
    assert second is not None
    decide(SETTINGS, notebook, first)
    assert decide(SETTINGS, notebook, second).words == "rejected by bob (U0BOB)"


@pytest.mark.parametrize("settings", [SETTINGS, Settings.model_validate({"slack_signing_secret": SECRET})])
def test_only_approvers_may_press(notebook: MemoryNotebook, settings: Settings) -> None:
    """Somebody else is told so, and nothing is answered; an empty list lets nobody."""
    press = read_press(body_of(buttons(shown(notebook))[0], "U0EVE", "ada"))
    assert press is not None
    with pytest.raises(NotAllowedError, match="U0EVE"):
        decide(settings, notebook, press)
    assert approvals.decision(notebook, RUN, plan().hash) is None


def test_an_old_button_decides_nothing(notebook: MemoryNotebook) -> None:
    """The queue has changed and the run asks about another plan: a press on the old message is refused."""
    approve, _ = buttons(shown(notebook))
    approvals.ask(notebook, RUN, plan(900), ("the queue is at level 3",), timedelta(hours=1))
    press = read_press(body_of(approve))
    assert press is not None
    with pytest.raises(ApprovalError, match="void"):
        decide(SETTINGS, notebook, press)


@pytest.mark.parametrize(
    "body", [b"", b"payload=", b"payload=%7B%7D", b"other=1", b"\xff\xfe", b"payload=%5B%5D", b"&" * 1_000]
)
def test_what_is_no_press_is_refused(body: bytes) -> None:
    """Whatever else was signed is an error in words."""
    with pytest.raises(BadArgumentError):
        read_press(body)


def test_buttons_of_others_are_left_alone() -> None:
    """A link button is reported by Slack too; it asks for nothing."""
    assert read_press(body_of({"action_id": "open", "value": ""})) is None


@pytest.mark.parametrize("value", ["", "{}", "[]", '{"queue": "", "run": "r", "plan": "p"}', "x" * 3_000])
def test_a_button_without_its_aim_is_refused(value: str) -> None:
    """What a button carries is read like anything else from outside."""
    with pytest.raises(BadArgumentError):
        read_press(body_of({"action_id": "dlq_approve", "value": value}))
