"""Calls to strangers that end in time, whatever the strangers do: slow names, slow bytes, silence."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class LateError(Exception):
    """The call went on for longer than anybody waits for it."""


@dataclass(slots=True)
class Call(Generic[T]):
    """A call in a thread of its own. It holds a value or an error once it has ended; `seconds` is how long it took."""

    act: Callable[[], T]
    value: T | None = None
    error: Exception | None = None
    seconds: float = 0.0
    _thread: threading.Thread = field(init=False)

    def begin(self) -> None:
        """Start it; the interpreter does not wait for it at its end."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="dlq-notice")
        self._thread.start()

    def wait(self, until: float) -> None:
        """Wait for its end until that moment of the monotonic clock, and no longer."""
        began = time.monotonic()
        self._thread.join(max(0.0, until - began))
        if self._thread.is_alive():
            self.error, self.seconds = LateError(), time.monotonic() - began

    def _run(self) -> None:
        began = time.monotonic()
        try:
            value = self.act()
        except Exception as exc:  # noqa: BLE001 - a stranger's library may raise anything; whoever waits looks at it
            self.error = exc
        else:
            self.value = value
        self.seconds = time.monotonic() - began


def within(seconds: float, acts: Sequence[Callable[[], T]]) -> list[Call[T]]:
    """Make all calls at once and wait for them at most that many seconds in all."""
    calls = [Call(act) for act in acts]
    until = time.monotonic() + seconds
    for call in calls:
        call.begin()
    for call in calls:
        call.wait(until)
    return calls
