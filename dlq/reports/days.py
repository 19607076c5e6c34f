"""What is kept of each day of a queue, in its notebook: depth, arrivals and the counts of its signatures.

A day is one field of the page `days`, under its local date, so a report that is made twice keeps one day. Both the
days and the signatures of a day are bounded: a page stays under half a megabyte.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlq.records.notebook import Notebook

TOPIC = "days"
MOST_DAYS = 29
"""Four weeks before today."""
MOST_SIGNATURES = 100
_LONGEST_TEXT = 140


@dataclass(frozen=True, slots=True)
class SignatureDay:
    """A signature on one day: messages in the DLQ when it was looked at, and how many came since the day before.

    `arrived` is None where there was no day before to compare with and no message says when it failed.
    """

    key: str
    text: str
    standing: int
    arrived: int | None


@dataclass(frozen=True, slots=True)
class Day:
    """A queue at one day's report. Counts are messages; what is not known is None."""

    date: date
    at: datetime
    since: datetime
    """From when `arrived`, `drained` and the signatures' arrivals are counted."""
    depth: int
    peak: int | None
    arrived: int | None
    drained: int
    signatures: tuple[SignatureDay, ...]
    others: int = 0
    """Messages standing under signatures beyond those that are kept."""


def keep(notebook: Notebook, day: Day) -> None:
    """Write a day down, over an earlier report of the same day, and forget the days before the last four weeks."""
    notebook.note(TOPIC, {day.date.isoformat(): _write(day)})
    known = sorted(notebook.notes(TOPIC))
    if len(known) > MOST_DAYS:
        notebook.erase(TOPIC, *known[:-MOST_DAYS])


def days(notebook: Notebook, *, before: date | None = None) -> list[Day]:
    """Read the days that are kept, the oldest first; `before` leaves that date and later ones out."""
    found = [_read(name, text) for name, text in sorted(notebook.notes(TOPIC).items())]
    return [day for day in found if before is None or day.date < before]


def bounded(signatures: Iterable[SignatureDay]) -> tuple[tuple[SignatureDay, ...], int]:
    """Keep the signatures with the most messages, come or standing; give them and what stands under the others."""
    by_size = sorted(signatures, key=lambda seen: (-max(seen.arrived or 0, seen.standing), seen.key))
    return tuple(by_size[:MOST_SIGNATURES]), sum(seen.standing for seen in by_size[MOST_SIGNATURES:])


def _write(day: Day) -> str:
    said: dict[str, Any] = asdict(day)
    del said["date"]
    said["signatures"] = [(seen.key, seen.text[:_LONGEST_TEXT], seen.standing, seen.arrived) for seen in day.signatures]
    return orjson.dumps(said).decode()


def _read(name: str, text: str) -> Day:
    said = orjson.loads(text)
    said["signatures"] = tuple(SignatureDay(*seen) for seen in said["signatures"])
    for field in ("at", "since"):
        said[field] = datetime.fromisoformat(said[field])
    return Day(date=date.fromisoformat(name), **said)
