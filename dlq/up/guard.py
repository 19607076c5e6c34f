"""The guard: a small process that outlives `dlq up` by seconds, to end what a SIGKILL of it would leave behind.

`dlq up` writes `+GROUP` and `-GROUP` lines into its standard input. When that ends, the parent has gone: then every
group that is still on the list gets SIGTERM and, after some seconds, SIGKILL. It also holds the lock of the home for
that time, so that nobody starts a second Redis on the same data. prctl(2) alone would not do: it reaches the
children, not the flow runs that a child started, and only Linux has it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from dlq.up.children import signal_group

GRACE_SECONDS: Final = 8.0


class Guard:
    """The parent's end: tells the guard which groups to end, and starts another guard when it has gone."""

    def __init__(self, lock: int) -> None:
        """Start the guard; `lock` is the file descriptor whose lock it keeps."""
        self._lock = lock
        self._groups: set[int] = set()
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Give the guard's process id."""
        return self._process.pid

    def add(self, group: int) -> None:
        """Put a process group on the list."""
        self._groups.add(group)
        self._tell(f"+{group}")

    def remove(self, group: int) -> None:
        """Take a process group off the list: all of it has ended, and its number may be given to a stranger."""
        self._groups.discard(group)
        self._tell(f"-{group}")

    def check(self) -> bool:
        """Start another guard if this one has ended; say whether it had."""
        if self._process.poll() is None:
            return False
        self.close()
        self._process = self._start()
        for group in self._groups:
            self._tell(f"+{group}")
        return True

    def close(self) -> None:
        """Let the guard end; it ends what is still on the list."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with suppress(OSError):  # it has gone: `check` starts another one, which gets the whole list
                pipe.write(f"{line}\n".encode())

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dlq.up.guard"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(self._lock,),
        )


def end(groups: Iterable[int], seconds: float = GRACE_SECONDS) -> None:
    """End process groups: SIGTERM at once, SIGKILL for what is left after some seconds."""
    left = [group for group in groups if signal_group(group, signal.SIGTERM)]
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = [group for group in left if signal_group(group, 0)]
    for group in left:
        signal_group(group, signal.SIGKILL)


def main() -> None:
    """Keep the list until the parent has gone, then end what is on it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    groups: set[int] = set()
    for line in sys.stdin:
        sign, group = line[0], int(line[1:])
        (groups.add if sign == "+" else groups.discard)(group)
    end(groups)


if __name__ == "__main__":
    main()
