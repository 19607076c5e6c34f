"""A notebook that is lent to a thread for as long as somebody waits for that thread, and no longer."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from dlq.errors import ChannelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from dlq.records.notebook import Entry, Notebook

T = TypeVar("T")


class LentNotebook:
    """Pass every call on to the notebook until `take_back`; raise ChannelError from then on.

    A notebook is one connection, which two threads must not use at once: a thread that nobody waits for any longer
    finds it closed, and its owner goes on with it.
    """

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._lent = True
        self._lock = Lock()

    def take_back(self) -> None:
        """End the lending, after the call that is going on now."""
        with self._lock:
            self._lent = False

    def note(self, topic: str, fields: Mapping[str, str]) -> None:
        """Write fields on a page."""
        self._pass(lambda: self._notebook.note(topic, fields))

    def note_once(self, topic: str, field: str, text: str) -> str:
        """Write a field unless it is there already."""
        return self._pass(lambda: self._notebook.note_once(topic, field, text))

    def count(self, topic: str, field: str, by: int = 1) -> int:
        """Add to a number on a page."""
        return self._pass(lambda: self._notebook.count(topic, field, by))

    def notes(self, topic: str) -> dict[str, str]:
        """Read a page."""
        return self._pass(lambda: self._notebook.notes(topic))

    def pick(self, topic: str, fields: Sequence[str]) -> dict[str, str]:
        """Read some fields of a page."""
        return self._pass(lambda: self._notebook.pick(topic, fields))

    def erase(self, topic: str, *fields: str) -> None:
        """Take fields off a page."""
        self._pass(lambda: self._notebook.erase(topic, *fields))

    def append(self, topic: str, entry: Entry) -> None:
        """Add an entry to a log."""
        self._pass(lambda: self._notebook.append(topic, entry))

    def log(self, topic: str, since: datetime | None = None, limit: int | None = None) -> list[Entry]:
        """Read a log."""
        return self._pass(lambda: self._notebook.log(topic, since, limit))

    def close(self) -> None:
        """Do nothing: the owner closes it."""

    def _pass(self, act: Callable[[], T]) -> T:
        with self._lock:
            if not self._lent:
                raise ChannelError("nobody waits for this any longer")
            return act()
