"""What `dlq up` runs: one value for each program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Service:
    """One program that is kept running.

    `ready` says, quickly and without raising, whether it serves; it is asked after each start, with the moment of
    the start. `needs` names the services that must be ready before this one starts. `before` is called before each
    start; nothing of an earlier start runs any more then.
    """

    name: str
    title: str
    command: Sequence[str | Path]
    ready: Callable[[float], bool]
    needs: tuple[str, ...] = ()
    start_seconds: float = 120.0
    stop_seconds: float = 10.0
    before: Callable[[], None] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
