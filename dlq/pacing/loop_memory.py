"""What the loop of a run remembers, on a page of the notebook: one field, so that it changes in one step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlq.records.notebook import Notebook

_FIELD = "state"


@dataclass(slots=True)
class Memory:
    """What the loop of a run remembers."""

    number: int = 0
    """The last wave that was planned, and its messages."""
    budget: int = 0
    wave_at: float = 0.0
    """When it had ended (epoch seconds)."""
    controller: dict[str, Any] | None = None
    tallies: dict[str, Any] = field(default_factory=dict)


def recall(notebook: Notebook, run_id: str) -> Memory:
    """Give what is remembered of a run; nothing, for one that has not begun."""
    said = notebook.notes(_topic(run_id)).get(_FIELD)
    return Memory(**json.loads(said)) if said else Memory()


def remember(notebook: Notebook, run_id: str, memory: Memory) -> None:
    """Put it on the page, over what stood there."""
    notebook.note(_topic(run_id), {_FIELD: json.dumps(asdict(memory))})


def _topic(run_id: str) -> str:
    return f"run:{run_id}:loop"
