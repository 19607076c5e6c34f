"""Child processes: each leads a group of its own, is stopped by its process id, and writes into a file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dlq.embedded.redis import die_with_parent

STOP_SECONDS: Final = 10.0
MOST_LOG_BYTES: Final = 10_000_000
_TAIL_LINES: Final = 6
_REAP_SECONDS: Final = 1.0


@dataclass(slots=True)
class Child:
    """One child process and the file with its output. The process's id is also that of its group."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Give the id of the process and of the group that it leads."""
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Say whether the process has ended; what it started may live on in its group."""
        return self.process.poll() is not None

    @property
    def ending(self) -> str:
        """Say how the process ended: `status 2`, or `signal SIGKILL`."""
        status = self.process.poll()
        if status is None:
            return "not at all"
        with suppress(ValueError):
            return f"signal {signal.Signals(-status).name}"
        return f"status {status}"

    def ask(self) -> None:
        """Send SIGTERM to the process, which stops its own children."""
        if not self.ended:
            self.process.terminate()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Wait for the end of the process after `ask`, and kill what is left of its group after some seconds."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill the process and all of its group at once, and see it gone; what nobody reaps is waited for a second."""
        signal_group(self.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + _REAP_SECONDS
        while signal_group(self.pid, 0) and time.monotonic() < deadline:
            time.sleep(0.01)

    def log_tail(self) -> str:
        """Give the last lines of the output, on one line."""
        with suppress(OSError), self.log.open(encoding="utf-8", errors="replace") as lines:
            last = deque((line.strip() for line in lines if line.strip()), maxlen=_TAIL_LINES)
            return " | ".join(last) or "empty"
        return "not readable"


def start_child(name: str, command: Sequence[str | Path], log: Path, settings: Mapping[str, str]) -> Child:
    """Start a process; it inherits the environment, in which `settings` win, and appends its output to `log`.

    On Linux the kernel sends it SIGTERM when this thread ends, however that happens.
    """
    _put_aside(log)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - programs of this package, of Prefect and of the embedded server
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
            start_new_session=True,  # Ctrl-C reaches the parent only, which then stops all in order
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one system call, prepared before the fork
        )
    return Child(name, process, log)


def stop_together(children: Sequence[Child], seconds: float = STOP_SECONDS) -> None:
    """Ask all of them at once, wait for each, and kill what is left when the time is over."""
    deadline = time.monotonic() + seconds
    for child in children:
        child.ask()
    for child in children:
        child.stop(max(0.1, deadline - time.monotonic()))


def signal_group(group: int, number: int) -> bool:
    """Send a signal (0: none, only look) to a process group; say whether it still had a member."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # gone; macOS says EPERM for a group of zombies
        return False
    return True


def _put_aside(log: Path) -> None:
    """Keep one older log beside a new one, so that the home does not fill up."""
    if log.exists() and log.stat().st_size > MOST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
