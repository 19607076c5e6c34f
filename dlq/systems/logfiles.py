"""The newest lines of log files that tell of failures: only the tails are read, of files that a pattern names."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dlq.systems.loglines import LogLine, matching

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILES = 20
_TAIL = 256 * 1024  # bytes of a file


def file_lines(patterns: Iterable[str], wanted: re.Pattern[str], most: int = 50) -> tuple[list[LogLine], list[str]]:
    """Give the newest matching lines of each file, at most `most` a file, and notes on what cannot be read."""
    lines: list[LogLine] = []
    notes: list[str] = []
    for pattern in patterns:
        files = _newest(pattern)
        if not files:
            notes.append(f"no file fits {pattern}")
        for file in files:
            try:
                lines += matching(_tail(file), str(file), wanted, most)
            except OSError as exc:
                notes.append(f"{file} cannot be read: {exc.strerror}")
    return lines, notes


def _newest(pattern: str) -> list[Path]:
    """List the files of a pattern, the ones written last first; `**` goes into folders."""
    found = []
    for name in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - a pattern may be absolute
        file = Path(name)
        try:
            if file.is_file():
                found.append((file.stat().st_mtime, file))
        except OSError:  # it was rotated away
            continue
    return [file for _, file in sorted(found, reverse=True)[:_FILES]]


def _tail(file: Path) -> str:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL))
        raw = stream.read(_TAIL)
    if size > _TAIL:
        raw = raw.partition(b"\n")[2]  # the first line is cut
    return raw.decode("utf-8", "replace")
