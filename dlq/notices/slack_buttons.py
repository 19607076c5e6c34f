"""Buttons that people press in Slack: is it really Slack that says so, who pressed what, and may they."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlq.admission import approvals
from dlq.admission.approvals import Answer, Decision
from dlq.errors import BadArgumentError, NotAllowedError, NotGenuineError
from dlq.notices.slack_blocks import APPROVE, REJECT

if TYPE_CHECKING:
    from dlq.config.settings import Settings
    from dlq.records.notebook import Notebook

FRESH = 300
"""Seconds after which a request is too old to be believed: somebody may have kept it to send it again."""
_ANSWERS = {APPROVE: Answer.APPROVE, REJECT: Answer.REJECT}


class _Aim(BaseModel):
    """What a button of ours carries."""

    model_config = ConfigDict(frozen=True)

    queue: str = Field(min_length=1, max_length=100)
    run: str = Field(min_length=1, max_length=200)
    plan: str = Field(min_length=1, max_length=100)


@dataclass(frozen=True, slots=True)
class Press:
    """A button that somebody pressed: `user` is the Slack id, `name` what that person is called."""

    user: str
    name: str
    answer: Answer
    queue: str
    run_id: str
    plan: str

    @property
    def who(self) -> str:
        """Name the person for the ledger and the timeline."""
        return f"{self.name} ({self.user})" if self.name else self.user


def check(settings: Settings, body: bytes, timestamp: str, signature: str, now: float) -> None:
    """Raise NotGenuineError unless Slack signed these very bytes within the last minutes.

    See https://docs.slack.dev/authentication/verifying-requests-from-slack. The comparison takes the same time
    wherever two signatures differ.
    """
    if settings.slack_signing_secret is None:
        raise NotGenuineError("Buttons are not configured: set DLQ_SLACK_SIGNING_SECRET")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > FRESH:
        raise NotGenuineError("The request is too old, or has no time")
    secret = settings.slack_signing_secret.get_secret_value().encode()
    expected = "v0=" + hmac.new(secret, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape")):
        raise NotGenuineError("The signature is wrong")


def read_press(body: bytes) -> Press | None:
    """Read which of our buttons was pressed; None when it was another thing. BadArgumentError: not to be read."""
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=20)
        said = _Payload.model_validate_json(fields["payload"][0])
    except (KeyError, ValueError) as exc:  # a ValidationError is a ValueError
        raise BadArgumentError("This is no payload of a Slack button.") from exc
    pressed = next((action for action in said.actions if action.action_id in _ANSWERS), None)
    if pressed is None:
        return None
    try:
        aim = _Aim.model_validate_json(pressed.value)
    except ValidationError as exc:
        raise BadArgumentError("The button carries nothing that can be used.") from exc
    name = said.user.name or said.user.username
    return Press(said.user.id, name, _ANSWERS[pressed.action_id], aim.queue, aim.run, aim.plan)


def decide(settings: Settings, notebook: Notebook, press: Press) -> Decision:
    """Answer the run's question; give the answer that stands, which may be an earlier one.

    NotAllowedError: the person is not on the list of approvers; ApprovalError: nothing is asked, or another plan.
    """
    if press.user not in settings.slack_approvers:
        raise NotAllowedError(who=press.who)
    answer = Decision(answer=press.answer, who=press.who[:200], by="slack")
    return approvals.decide(notebook, press.run_id, press.plan, answer)


class _User(BaseModel):
    id: str = Field(min_length=1, max_length=50)
    name: str = Field(default="", max_length=100)
    username: str = Field(default="", max_length=100)


class _Action(BaseModel):
    action_id: str = Field(default="", max_length=255)
    value: str = Field(default="", max_length=2_000)


class _Payload(BaseModel):
    """As much of Slack's block_actions payload as we use."""

    user: _User
    actions: list[_Action] = Field(default_factory=list, max_length=25)
