"""Lines of logs that tell of failures, cut short and without the passwords of addresses."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlq.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 300
_SECRET = re.compile(
    r"(?i)((?:pass(?:word|wd)?|secret|token|api[_-]?key|authorization)[\"']?\s*[=:]\s*[\"']?(?:bearer\s+|basic\s+)?)[^\s\"',;&]+"
)
_PAYLOAD = re.compile(r"\{.*|\[[{\"].*")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, and where it stood."""

    source: str
    text: str


def matching(text: str | Iterable[str], source: str, pattern: re.Pattern[str], most: int) -> list[LogLine]:
    """Give the last `most` lines that match."""
    lines = text.splitlines() if isinstance(text, str) else text
    return [LogLine(source, clean(line)) for line in deque((line for line in lines if pattern.search(line)), most)]


def clean(line: str) -> str:
    """Cut a line, hide secrets, and leave out what looks like a message's payload."""
    return _PAYLOAD.sub("{…}", hide(line.strip()))[:LONGEST]


def hide(text: str) -> str:
    """Hide passwords in addresses, and what stands behind words such as `token=`."""
    return _SECRET.sub(r"\1***", redact(text))
