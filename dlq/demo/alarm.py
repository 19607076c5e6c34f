"""How the demo's incidents begin: real alerts, or the same payload posted by the demo itself."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dlq.errors import DlqError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlq.up.services import Plan


class AlarmError(DlqError):
    """The receiver did not take the demo's alerts."""

    advice = "See receiver.log in the demo's folder."


def payload(depths: Mapping[str, int]) -> dict[str, Any]:
    """Make what Alertmanager posts when the depth of some queues is over its threshold."""
    now = datetime.now(UTC).isoformat()
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": "HighDLQDepth", "queue": queue, "severity": "high", "level": "1"},
            "annotations": {"summary": f"{queue}: {depth} messages in the DLQ"},
            "startsAt": now,
            "fingerprint": f"demo-{queue}",
        }
        for queue, depth in depths.items()
    ]
    return {"version": "4", "groupKey": "demo", "status": "firing", "receiver": "dlq-drain", "alerts": alerts}


def post(plan: Plan, depths: Mapping[str, int]) -> list[dict[str, Any]]:
    """Post the alerts to the receiver; give what became of each. AlarmError when it does not take them."""
    place = urlsplit(plan.receiver)
    token = plan.settings.receiver_token
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token.get_secret_value()}"
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.request("POST", place.path, json.dumps(payload(depths)), headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as exc:
        raise AlarmError(f"The receiver of alerts did not answer: {exc}.") from exc
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise AlarmError(f"The receiver of alerts refused: {text[:300]}", status=answer.status)
    results: list[dict[str, Any]] = json.loads(text)["results"]
    return results
