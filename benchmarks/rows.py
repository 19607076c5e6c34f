"""One row of the result, the table that is printed, and the two files."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MEMORY_MB = 250.0
_BEGIN, _END = "<!-- table: begin -->", "<!-- table: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure beside what it is compared with. `target` in words; `ok` says that it was met."""

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    target: str
    ok: bool


def row(name: str, value: float, unit: str, baseline: float, target: str, *, ok: bool, ratio: float = 0) -> Row:
    """Make a row; the ratio is value / baseline unless given."""
    return Row(name, _short(value), unit, _short(baseline), _short(ratio or value / baseline), target, ok)


def memory_row(name: str, more: float, less: float) -> Row:
    """Compare the peaks of a large and a small run, in MB."""
    target = f"at most 1.2 and {_MEMORY_MB:.0f} MB"
    return row(name, more, "MB", less, target, ok=more <= 1.2 * less and more <= _MEMORY_MB)


def table(rows: list[Row]) -> str:
    """Render as Markdown, which reads well in a terminal too."""
    cells = [["what", "ours", "baseline", "unit", "ratio", "target", "met"]]
    cells += [
        [r.name, f"{r.value:,}", f"{r.baseline:,}", r.unit, f"{r.ratio:,}", r.target, "yes" if r.ok else "no"]
        for r in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def save(rows: list[Row], file: Path) -> None:
    """Write the JSON file, and the folder that it lies in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n", encoding="utf-8")


def put_into_page(rows: list[Row], page: Path, command: str, server: str) -> None:
    """Replace what stands between the two marks of the page by the table and where it comes from."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    where = (
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}, {platform.system()} on {platform.machine()} with"
        f" {os.cpu_count()} cores, Python {platform.python_version()}, {server}."
    )
    page.write_text(f"{before}{_BEGIN}\n{where}\n\n{table(rows)}\n{_END}{after}", encoding="utf-8")


def _short(value: float) -> float:
    """Keep four digits: the machine is noisier than that."""
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))
