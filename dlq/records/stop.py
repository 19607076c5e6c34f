"""Ask a run to stop: it finishes the wave in hand, is closed as done with the reason, and is verified.

Anybody may ask, from any process: a person, or the receiver when an alert resolves. Whoever drives the run looks
before each wave and while it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from dlq.records.timeline import tell

if TYPE_CHECKING:
    from dlq.records.notebook import Notebook

_FIELD = "request"


@dataclass(frozen=True, slots=True)
class StopRequest:
    """That a run should stop: why, who asks, and since when."""

    run_id: str
    why: str
    who: str
    at: datetime

    @property
    def note(self) -> str:
        """Say it in the ledger's words."""
        return f"stopped by {self.who}: {self.why}" if self.why else f"stopped by {self.who}"


def ask(notebook: Notebook, run_id: str, why: str, who: str) -> StopRequest:
    """Ask a run, which need not have begun, to stop; of several who ask the first one counts, and is returned."""
    request = StopRequest(run_id, why, who, datetime.now(UTC))
    said = orjson.dumps({"why": why, "who": who, "at": request.at.isoformat()}).decode()
    stands = notebook.note_once(_topic(run_id), _FIELD, said)
    if stands != said:
        return _read(run_id, stands)
    tell(notebook, run_id, "stop", f"asked to stop: {why}" if why else "asked to stop", who=who, at=request.at)
    return request


def asked(notebook: Notebook, run_id: str) -> StopRequest | None:
    """Give the request that a run should stop, None when nobody asked."""
    said = notebook.notes(_topic(run_id)).get(_FIELD)
    return _read(run_id, said) if said else None


def _read(run_id: str, said: str) -> StopRequest:
    parts = orjson.loads(said)
    return StopRequest(run_id, parts["why"], parts["who"], datetime.fromisoformat(parts["at"]))


def _topic(run_id: str) -> str:
    return f"run:{run_id}:stop"
