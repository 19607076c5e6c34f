"""What a run did to the systems around a queue, written down before it is done, so that it can be undone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import orjson

from dlq.records.timeline import tell

if TYPE_CHECKING:
    from dlq.records.notebook import Notebook


class State(StrEnum):
    """How far an action is. INTENDED may or may not have happened: a retry does it again, an undo looks first."""

    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    LEFT = "left"
    """Not undone, since somebody else has changed the same thing since."""


@dataclass(frozen=True, slots=True)
class Action:
    """A change of `target` from `before` to `after`; None is unknown. `key` is unique in a run."""

    key: str
    kind: str
    target: str
    before: int | None
    after: int
    at: datetime
    who: str = ""
    state: State = State.INTENDED
    note: str = ""

    @property
    def summary(self) -> str:
        """Say it in one line."""
        before = "unknown" if self.before is None else self.before
        note = f": {self.note}" if self.note else ""
        return f"{self.kind} {self.target}: {before} → {self.after}, {self.state}{note}"


class Book:
    """The actions of one run, on a page of its queue's notebook. It outlives the process, and SIGKILL."""

    def __init__(self, notebook: Notebook, run_id: str, who: str = "") -> None:
        """Take the notebook, the run, and who asked for it."""
        self._notebook = notebook
        self._run_id = run_id
        self.who = who

    @property
    def _topic(self) -> str:
        return f"run:{self._run_id}:actions"

    def find(self, key: str) -> Action | None:
        """Give an action of this run, None when it was never intended."""
        text = self._notebook.notes(self._topic).get(key)
        return _unpack(text) if text else None

    def intend(self, key: str, kind: str, target: str, before: int | None, after: int) -> Action:
        """Write down what will be done. A retry gets what the first attempt wrote: the count from before stays."""
        action = Action(key, kind, target, before, after, datetime.now(UTC), self.who)
        return _unpack(self._notebook.note_once(self._topic, key, _pack(action)))

    def settle(self, action: Action, state: State, note: str = "") -> Action:
        """Write down how it went, and tell the timeline once a state."""
        settled = replace(action, state=state, note=note)
        if settled != action:
            self._notebook.note(self._topic, {action.key: _pack(settled)})
            tell(self._notebook, self._run_id, "action", settled.summary, who=self.who)
        return settled

    def actions(self) -> list[Action]:
        """List the actions of this run, oldest first."""
        found = [_unpack(text) for text in self._notebook.notes(self._topic).values()]
        return sorted(found, key=lambda action: action.at)


def _pack(action: Action) -> str:
    return orjson.dumps(asdict(action)).decode()


def _unpack(text: str) -> Action:
    said = orjson.loads(text)
    return Action(**{**said, "at": datetime.fromisoformat(said["at"]), "state": State(said["state"])})
