"""The timeline of a run: what happened, when, and who did it, beyond what the ledger's batches say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from dlq.records.notebook import Entry

if TYPE_CHECKING:
    from dlq.records.notebook import Notebook


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline. `kind` is a word for programs, such as `alert`, `approval` or `escalation`."""

    at: datetime
    kind: str
    text: str
    who: str = ""


def tell(notebook: Notebook, run_id: str, kind: str, text: str, *, who: str = "", at: datetime | None = None) -> Event:
    """Add a line to the timeline of a run, which need not have begun; give it back."""
    event = Event(at or datetime.now(UTC), kind, text, who)
    said = orjson.dumps({"kind": kind, "text": text, "who": who}).decode()
    notebook.append(_topic(run_id), Entry(event.at, said))
    return event


def tell_once(notebook: Notebook, run_id: str, mark: str, kind: str, text: str, *, who: str = "") -> bool:
    """Add a line that a retry may come to again: the first call under this mark counts. Say whether it was this one.

    The line is written by every call, and the same each time, so that a process that dies here leaves none out.
    """
    now = datetime.now(UTC)
    said = orjson.dumps({"at": now.isoformat(), "kind": kind, "text": text, "who": who}).decode()
    stands = orjson.loads(notebook.note_once(f"run:{run_id}:told", mark, said))
    at = datetime.fromisoformat(stands["at"])
    tell(notebook, run_id, stands["kind"], stands["text"], who=stands["who"], at=at)
    return at == now


def timeline(notebook: Notebook, run_id: str) -> list[Event]:
    """Read the timeline of a run, in the order of time."""
    return [Event(entry.at, **orjson.loads(entry.text)) for entry in notebook.log(_topic(run_id))]


def _topic(run_id: str) -> str:
    return f"run:{run_id}:timeline"
