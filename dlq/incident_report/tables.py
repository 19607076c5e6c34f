"""Frames as tables, in markdown and for the page; of a long one the first rows, and what the others come to."""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dlq.summaries.frames import rows

MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is shown. `numbers` are the columns that stand to the right; `more` says what was left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    more: str = ""

    @classmethod
    def of(cls, frame: pd.DataFrame, most: int = MOST_ROWS, counted: str = "") -> "Table":
        """Show a frame's first rows; `counted` names the column whose sum tells what was left out."""
        shown = rows(frame.head(most))
        numbers = frozenset(
            at for at, name in enumerate(frame.columns) if any(isinstance(row[str(name)], int | float) for row in shown)
        )
        more = ""
        if len(frame) > most:
            rest = f" with {int(frame[counted].iloc[most:].sum()):,} {counted}" if counted else ""
            more = f"and {len(frame) - most:,} more{rest}"
        columns = tuple(str(name).replace("_", " ") for name in frame.columns)
        return cls(columns, tuple(tuple(map(_shown, row.values())) for row in shown), numbers, more)


def markdown(table: Table) -> Iterator[str]:
    """Write a table as the lines of a markdown table."""
    if not table.rows:
        yield "none"
        return
    yield f"| {' | '.join(table.columns)} |"
    yield f"| {' | '.join('---:' if at in table.numbers else '---' for at in range(len(table.columns)))} |"
    for row in table.rows:
        yield f"| {' | '.join(map(cell, row))} |"
    if table.more:
        yield f"\n{table.more}"


def cell(text: str) -> str:
    """Escape a text for markdown: nothing in it may end a cell, begin a tag or become a link."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{letter}" if letter in r"\`*_[]|~" else letter for letter in plain)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.10g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
