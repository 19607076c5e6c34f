"""What is remembered of a queue from run to run, beside the ledger: its samples, its timelines, its budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One entry of a log: when, an aware moment kept to the millisecond, and what."""

    at: datetime
    text: str


class Notebook(Protocol):
    """Pages and logs of one queue, each under a topic such as `samples` or `run:ID:timeline`.

    A page is a small table of texts, a log a list of entries by time. Both are forgotten when nobody has written to
    them for as long as the ledger is kept. Nobody needs the queue's lock for them. Errors are those of `dlq.errors`.
    """

    def note(self, topic: str, fields: Mapping[str, str]) -> None:
        """Write fields on a page, over what stood there."""

    def note_once(self, topic: str, field: str, text: str) -> str:
        """Write a field unless it is there already; return what stands there now. Of two at once one wins."""

    def count(self, topic: str, field: str, by: int = 1) -> int:
        """Add to a number on a page, atomically; return the sum."""

    def notes(self, topic: str) -> dict[str, str]:
        """Read a page; an unknown one is empty."""

    def pick(self, topic: str, fields: Sequence[str]) -> dict[str, str]:
        """Read some fields of a page; those that are not there are left out."""

    def erase(self, topic: str, *fields: str) -> None:
        """Take fields off a page; the whole page when none is named."""

    def append(self, topic: str, entry: Entry) -> None:
        """Add an entry to a log; the same entry twice is there once. Entries older than the ledger go."""

    def log(self, topic: str, since: datetime | None = None, limit: int | None = None) -> list[Entry]:
        """Read a log in the order of time, from `since` on; with `limit` only its newest entries."""

    def close(self) -> None:
        """Let go of the connection."""
