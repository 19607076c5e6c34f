"""Starts services in the order of their needs, starts again what dies, and stops all of them in the opposite order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dlq.up.children import Child, start_child, stop_together
from dlq.up.errors import ServiceFailedError
from dlq.up.guard import Guard
from dlq.up.service import Service

RESTARTS: Final = 5
"""How often in a row a service is started again; the count begins anew when it has lived for SETTLED_SECONDS."""
SETTLED_SECONDS: Final = 60.0
FIRST_BACK_OFF: Final = 1.0  # seconds; doubled each time
LONGEST_BACK_OFF: Final = 30.0

Say = Callable[..., None]


@dataclass(slots=True)
class _Kept:
    """A service, its process if it has one, and its history. Times are monotonic seconds."""

    service: Service
    child: Child | None = None
    ready: bool = False
    was_ready: bool = False
    failures: int = 0
    since: float = 0.0
    not_before: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Keeps services running; `tick` is to be called a few times a second, from the thread that made this."""

    services: Sequence[Service]
    logs: Path
    settings: Mapping[str, str]
    guard: Guard
    say: Say
    _kept: dict[str, _Kept] = field(init=False)

    def __post_init__(self) -> None:
        self._kept = {service.name: _Kept(service) for service in self.services}

    @property
    def ready(self) -> bool:
        """Say whether every service serves."""
        return all(kept.ready for kept in self._kept.values())

    @property
    def pids(self) -> dict[str, int]:
        """Give the process id of each service that runs."""
        return {name: kept.child.pid for name, kept in self._kept.items() if kept.child is not None}

    def tick(self) -> None:
        """Look at every service once: start what can start, start again what died.

        Raises ServiceFailedError when a service died too often in a row.
        """
        if self.guard.check():
            self.say("died", "The guard had ended; another one was started", name="guard")
        for kept in self._kept.values():
            if kept.child is None:
                self._start_if_due(kept)
            elif kept.child.ended:
                self._died(kept, kept.child, f"ended with {kept.child.ending}")
            elif not kept.ready:
                self._look(kept, kept.child)
            elif kept.failures and time.monotonic() - kept.since > SETTLED_SECONDS:
                kept.failures = 0

    def stop(self) -> None:
        """Stop all: first those that need others, last those that are needed."""
        while running := [kept for kept in self._kept.values() if kept.child is not None]:
            needed = {name for kept in running for name in kept.service.needs}
            first = [kept for kept in running if kept.service.name not in needed] or running
            stop_together([kept.child for kept in first if kept.child], max(k.service.stop_seconds for k in first))
            for kept in first:
                self._forget(kept)

    def kill(self) -> None:
        """Kill all at once."""
        for kept in self._kept.values():
            if kept.child is not None:
                kept.child.kill()
                self._forget(kept)

    def _start_if_due(self, kept: _Kept) -> None:
        service = kept.service
        if time.monotonic() < kept.not_before or not all(self._kept[name].ready for name in service.needs):
            return
        if service.before:
            service.before()
        log = self.logs / f"{service.name}.log"
        kept.child = start_child(service.name, service.command, log, {**self.settings, **service.settings})
        kept.since, kept.ready = time.monotonic(), False
        self.guard.add(kept.child.pid)

    def _look(self, kept: _Kept, child: Child) -> None:
        seconds = time.monotonic() - kept.since
        if kept.service.ready(time.time() - seconds):
            kept.ready, kept.since = True, time.monotonic()
            again = " again" if kept.was_ready else ""
            kept.was_ready = True
            text = f"{kept.service.title} is up{again} ({seconds:.0f} s)"
            self.say("ready", text, name=kept.service.name, pid=child.pid)
        elif seconds > kept.service.start_seconds:
            self._died(kept, child, f"was not ready after {seconds:.0f} s")

    def _died(self, kept: _Kept, child: Child, how: str) -> None:
        """Clear up after a dead service and decide when it may start again, or raise."""
        service = kept.service
        child.kill()  # and what it had started
        self.guard.remove(child.pid)
        kept.child, kept.ready = None, False
        if all(self._kept[name].ready for name in service.needs):  # else it fell with what it needs
            kept.failures += 1
        if kept.failures > (RESTARTS if kept.was_ready else 1):
            raise ServiceFailedError(f"{service.title} {how}: {child.log_tail()}", log=child.log)
        wait = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** max(0, kept.failures - 1))
        kept.not_before = time.monotonic() + wait
        text = f"{service.title} {how}; starting it again in {wait:.0f} s ({kept.failures} of {RESTARTS})"
        self.say("died", text, name=service.name, how=how, log=str(child.log))

    def _forget(self, kept: _Kept) -> None:
        if kept.child is not None:
            self.guard.remove(kept.child.pid)
        kept.child, kept.ready = None, False
