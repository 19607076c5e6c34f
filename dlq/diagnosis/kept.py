"""The diagnosis of a run, kept in its queue's notebook: for the report, and for whoever asks later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from dlq.records.notebook import Notebook

_FIELD = "found"


def keep(notebook: Notebook, run_id: str, found: dict[str, Any]) -> None:
    """Keep a diagnosis in its plain form (`words.as_dict`), over an earlier one."""
    notebook.note(_topic(run_id), {_FIELD: orjson.dumps(found).decode()})


def kept(notebook: Notebook, run_id: str) -> dict[str, Any] | None:
    """Give the diagnosis of a run as `words.as_dict` made it, None when there is none."""
    text = notebook.notes(_topic(run_id)).get(_FIELD)
    if not text:
        return None
    found: dict[str, Any] = orjson.loads(text)
    return found


def _topic(run_id: str) -> str:
    return f"run:{run_id}:diagnosis"
