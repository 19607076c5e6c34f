"""Frames as Markdown tables."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from dlq.summaries.frames import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_SPECIAL = re.compile(r"[\\`*_\[\]|~]")


def table(frame: pd.DataFrame, empty: str = "none") -> list[str]:
    """Write a frame as the lines of a table; numbers stand to the right."""
    if frame.empty:
        return [empty]
    found = rows(frame)
    numbers = {name for name in frame.columns if any(isinstance(row[name], int | float) for row in found)}
    head = [str(name).replace("_", " ") for name in frame.columns]
    rule = ["---:" if name in numbers else "---" for name in frame.columns]
    body = [[cell(value) for value in row.values()] for row in found]
    return [f"| {' | '.join(line)} |" for line in (head, rule, *body)]


def cell(value: object) -> str:
    """Write a value: nothing in it may end the cell or begin a tag, nor become a mark."""
    if isinstance(value, int | float):
        return f"{value:,.10g}"
    text = "" if value is None else str(value).replace("\n", " ")
    return _SPECIAL.sub(r"\\\g<0>", html.escape(text, quote=False))


def listed(lines: Sequence[str], empty: str) -> list[str]:
    """Write lines as a list."""
    return [f"- {line}" for line in lines] or [empty]
