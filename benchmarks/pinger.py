"""A second client that asks PING about a thousand times a second: `python -m benchmarks.pinger URL FILE`.

Each line of the file is a monotonic time in seconds and how long the answer took, in milliseconds.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import redis

_BETWEEN = 0.001


def main(url: str, file: Path) -> None:
    """Ask until this process is terminated."""
    _hurry()
    client = redis.Redis.from_url(url, socket_timeout=None)
    with file.open("w", encoding="utf-8", buffering=1) as out:
        while True:
            start = time.monotonic()
            while not _answered(client):
                time.sleep(_BETWEEN)
            out.write(f"{start:.6f} {(time.monotonic() - start) * 1000:.3f}\n")
            time.sleep(_BETWEEN)


def _hurry() -> None:
    """Ask the kernel for a core at once, where it lets us: to wait for Redis, and not for a core, is what counts."""
    with suppress(AttributeError, PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _answered(client: redis.Redis) -> bool:
    """Ask once; a server that has been in a script for five seconds answers BUSY, which is not an answer."""
    try:
        return bool(client.ping())
    except redis.ResponseError:
        return False


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
