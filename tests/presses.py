"""Presses of buttons as Slack posts them, signed with its secret."""

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

SECRET = "made-up-signing-secret"  # noqa: S105 - of the fake only


def body_of(element: dict[str, Any], user: str = "U0ADA", name: str = "ada") -> bytes:
    """Make the body of a press on a button of a message."""
    payload = {
        "type": "block_actions",
        "user": {"id": user, "name": name, "team_id": "T1"},
        "actions": [{"action_id": element["action_id"], "value": element["value"], "type": "button"}],
        "response_url": "https://hooks.slack.example/x",
        "trigger_id": "1.2.3",
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def signed(body: bytes, *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """Make the headers by which Slack proves that it posts a body."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the buttons of a message."""
    return [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]
