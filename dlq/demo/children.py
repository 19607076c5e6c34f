"""The demo's child processes: each in a session of its own, stopped by its process id, its output in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dlq.embedded import die_with_parent
from dlq.errors import DlqError

STOP_SECONDS = 10.0
_TAIL_LINES = 6


class DemoChildError(DlqError):
    """A process of the demo ended too early."""

    advice = "Its log says why."


@dataclass(slots=True)
class Child:
    """One child process and the file with its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise DemoChildError when the process has ended."""
        status = self.process.poll()
        if status is not None:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
            raise DemoChildError(f"{self.name} ended early: {' | '.join(lines)}", status=status, log=self.log)

    def ask(self) -> None:
        """Send SIGTERM to the process, which stops its own children."""
        if self.process.poll() is None:
            self.process.terminate()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Wait for the end of the process after `ask`, and kill what is left of its group after some seconds."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        # The child leads a group of its own, so its id names the group as long as a member of it lives.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(slots=True)
class Children:
    """Starts children with one environment and stops them all, the youngest first."""

    folder: Path
    settings: Mapping[str, str]
    _all: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Begin with no child."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop every child."""
        self.stop(self._all)

    def start(self, name: str, command: Sequence[str | Path]) -> Child:
        """Start a child; its output goes to `NAME.log` in the folder."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - programs of this package and of Prefect only
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A child inherits the shell's settings; ours win.
                env={**os.environ, **self.settings},
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one system call, prepared before the fork
            )
        child = Child(name, process, log)
        self._all.append(child)
        return child

    def stop(self, children: Sequence[Child]) -> None:
        """Stop some children: all are asked at once, the youngest is waited for first."""
        deadline = time.monotonic() + STOP_SECONDS
        asked = list(reversed(children))
        for child in asked:
            child.ask()
        for child in asked:
            child.stop(max(0.1, deadline - time.monotonic()))
        self._all = [child for child in self._all if child not in asked]

    def check(self) -> None:
        """Raise DemoChildError when any child has ended."""
        for child in self._all:
            child.check()
