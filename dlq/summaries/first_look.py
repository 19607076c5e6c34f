"""The assessment that a run began with, kept in its queue's notebook.

When a flow is retried, part of the messages has moved already: what lay there in the beginning can be read no more.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dlq.config.policy import Level, Severity
from dlq.engine.assess import Assessment, SignatureCount
from dlq.messages.signatures import Signature

if TYPE_CHECKING:
    from dlq.records.notebook import Notebook

_FIELD = "found"


def keep(notebook: Notebook, run_id: str, found: Assessment) -> None:
    """Keep an assessment for a run that has not begun, over an earlier one."""
    plain = json.dumps(asdict(found), default=datetime.isoformat).encode()
    # A histogram of a day for each of some hundred signatures is megabytes of digits.
    notebook.note(_topic(run_id), {_FIELD: base64.b85encode(zlib.compress(plain, 1)).decode()})


def kept(notebook: Notebook, run_id: str) -> Assessment | None:
    """Give the assessment that was kept for a run, None when there is none."""
    text = notebook.notes(_topic(run_id)).get(_FIELD)
    return _assessment(json.loads(zlib.decompress(base64.b85decode(text)))) if text else None


def _assessment(plain: dict[str, Any]) -> Assessment:
    changed = {
        "at": datetime.fromisoformat(plain["at"]),
        "signatures": tuple(map(_count, plain["signatures"])),
        "oldest": _moment(plain["oldest"]),
        "newest": _moment(plain["newest"]),
        "severity": Severity(plain["severity"]),
        "level": Level(**plain["level"]) if plain["level"] else None,
    }
    return Assessment(**plain | changed)


def _count(plain: dict[str, Any]) -> SignatureCount:
    changed = {
        "signature": Signature(*plain["signature"]),
        "first_seen": _moment(plain["first_seen"]),
        "last_seen": _moment(plain["last_seen"]),
        "per_minute": {int(minute): count for minute, count in plain["per_minute"].items()},
        "samples": tuple(plain["samples"]),
    }
    return SignatureCount(**plain | changed)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _topic(run_id: str) -> str:
    return f"run:{run_id}:assessment"
