"""Where the `dlq up` of a home is, for other commands in that home. Imports nothing heavy: every command reads it."""

from __future__ import annotations

import fcntl
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

LOCK: Final = "up.lock"
STATE: Final = "up.json"


def announced(folder: Path) -> dict[str, Any]:
    """Give what the `dlq up` that runs in this home announced; empty when none runs."""
    with suppress(OSError, ValueError), (folder / LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            found = json.loads((folder / STATE).read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
    return {}
