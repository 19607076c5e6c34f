"""A notebook in memory with the semantics of the Redis one, for tests of policy."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dlq.records.notebook import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryNotebook:
    """Pages and logs in the memory of this process."""

    def __init__(self) -> None:
        """Begin empty."""
        self._pages: dict[str, dict[str, str]] = defaultdict(dict)
        self._logs: dict[str, set[Entry]] = defaultdict(set)

    def note(self, topic: str, fields: Mapping[str, str]) -> None:
        """Write fields on a page, over what stood there."""
        self._pages[topic] |= fields

    def note_once(self, topic: str, field: str, text: str) -> str:
        """Write a field unless it is there already; return what stands there now."""
        return self._pages[topic].setdefault(field, text)

    def count(self, topic: str, field: str, by: int = 1) -> int:
        """Add to a number on a page; return the sum."""
        total = int(self._pages[topic].get(field, "0")) + by
        self._pages[topic][field] = str(total)
        return total

    def notes(self, topic: str) -> dict[str, str]:
        """Read a page; an unknown one is empty."""
        return dict(self._pages[topic])

    def pick(self, topic: str, fields: Sequence[str]) -> dict[str, str]:
        """Read some fields of a page."""
        page = self._pages[topic]
        return {field: page[field] for field in fields if field in page}

    def erase(self, topic: str, *fields: str) -> None:
        """Take fields off a page; the whole page when none is named."""
        for field in fields or tuple(self._pages[topic]):
            self._pages[topic].pop(field, None)

    def append(self, topic: str, entry: Entry) -> None:
        """Add an entry to a log; the same entry twice is there once."""
        at = datetime.fromtimestamp(round(entry.at.timestamp() * 1000) / 1000, UTC)
        self._logs[topic].add(Entry(at, entry.text))

    def log(self, topic: str, since: datetime | None = None, limit: int | None = None) -> list[Entry]:
        """Read a log in the order of time, from `since` on; with `limit` only its newest entries."""
        found = sorted(entry for entry in self._logs[topic] if since is None or entry.at >= since)
        return found if limit is None else found[max(0, len(found) - limit) :]

    def close(self) -> None:
        """Do nothing: there is no connection."""
