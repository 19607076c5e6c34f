"""An incident as people see it while it goes on: one page of the queue's notebook that every process writes to."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from dlq.records.notebook import Notebook


class State(StrEnum):
    """Where an incident stands, in the words that people read."""

    OPEN = "open"
    ASSESSED = "assessed"
    WAITING = "waiting for approval"
    DRAINING = "draining"
    VERIFYING = "verifying"
    PENDING = "waiting for the workers"
    RESOLVED = "resolved"
    PARTIAL = "resolved in part"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Say whether nothing more is being done."""
        return self in {State.PENDING, State.RESOLVED, State.PARTIAL, State.STOPPED, State.FAILED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one signature so far. Counts are messages; `word` is such as delivered, stopped, partial."""

    signature: str
    word: str
    redriven: int
    bounced: int


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked to approve or reject: a plan, by its hash."""

    plan: str
    text: str


@dataclass(frozen=True, slots=True)
class Incident:
    """What is known of an incident now. Counts are messages; None is unknown, not zero."""

    run_id: str
    queue: str
    state: State = State.OPEN
    severity: str | None = None
    level: int | None = None
    headline: str = ""
    depth_first: int | None = None
    """The depth when the incident began."""
    depth: int | None = None
    live: int | None = None
    planned: int | None = None
    """How many messages the run means to select."""
    selected: int | None = None
    delivered: int | None = None
    bounced: int | None = None
    pending: int | None = None
    quarantined: int | None = None
    unexplained: int | None = None
    verdicts: tuple[Verdict, ...] = ()
    question: Question | None = None
    decision: str = ""
    """Who approved or rejected, in words."""
    links: dict[str, str] = field(default_factory=dict)
    opened_at: datetime | None = None

    @property
    def progress(self) -> float | None:
        """Give the part of the planned messages that has been selected, 0 to 1; None when either is unknown."""
        if not self.planned or self.selected is None:
            return None
        return min(1.0, self.selected / self.planned)


def read_incident(notebook: Notebook, run_id: str, queue: str) -> Incident:
    """Read what is known of an incident; a new one is open and otherwise unknown."""
    said = {name: orjson.loads(text) for name, text in notebook.notes(_topic(run_id)).items() if name in _KNOWN}
    if "state" in said:
        said["state"] = State(said["state"])
    if "verdicts" in said:
        said["verdicts"] = tuple(Verdict(**one) for one in said["verdicts"])
    if said.get("question"):
        said["question"] = Question(**said["question"])
    if said.get("opened_at"):
        said["opened_at"] = datetime.fromisoformat(said["opened_at"])
    return Incident(run_id, queue, **said)


def is_incident(notebook: Notebook, run_id: str) -> bool:
    """Say whether people were told of a run as an incident."""
    return bool(notebook.notes(_topic(run_id)))


def note_incident(notebook: Notebook, run_id: str, **facts: Any) -> None:
    """Write what has become known of an incident, over what stood there; `facts` are fields of Incident."""
    if unknown := facts.keys() - _KNOWN:
        raise TypeError(f"an incident has no {', '.join(sorted(unknown))}")
    topic = _topic(run_id)
    notebook.note_once(topic, "opened_at", orjson.dumps(datetime.now(UTC)).decode())
    said = {name: orjson.dumps(value).decode() for name, value in facts.items()}
    if "depth_first" in said:  # a retry of the flow run looks again, when a part has been moved
        notebook.note_once(topic, "depth_first", said.pop("depth_first"))
    notebook.note(topic, said)


def _topic(run_id: str) -> str:
    return f"run:{run_id}:incident"


_KNOWN = frozenset(each.name for each in fields(Incident)) - {"run_id", "queue"}
