"""What the demo shows while it runs: a live table on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from rich.box import SIMPLE
from rich.live import Live
from rich.table import Table

from dlq.demo.workers import DELIVERED, FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from dlq.demo.scoreboard import Score

LINE_SECONDS: Final = 5.0
_STYLES: Final = {"died": "yellow", "warning": "yellow", "failed": "bold red", "ready": "dim"}


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue at one moment. Counts are messages; `flow_run` is the name of the flow run's state."""

    queue: str
    dlq: int
    live: int
    delivered: int
    bounced: int
    flow_run: str

    def __str__(self) -> str:
        return (
            f"{self.queue}: DLQ {self.dlq}, live {self.live}, delivered {self.delivered}, "
            f"bounced {self.bounced}, {self.flow_run}"
        )


@dataclass(slots=True)
class LogTally:
    """Counts what workers did while their logs grow; reads only what is new."""

    files: Sequence[Path]
    delivered: int = 0
    failed: int = 0
    _read: dict[Path, int] = field(default_factory=dict)

    def update(self) -> None:
        """Read what was written since the last call, whole lines only."""
        for file in self.files:
            with file.open("rb") as log:
                log.seek(self._read.get(file, 0))
                fresh = log.read()
            fresh = fresh[: fresh.rfind(b"\n") + 1]
            self._read[file] = self._read.get(file, 0) + len(fresh)
            self.delivered += fresh.count(f"{DELIVERED}\t".encode())
            self.failed += fresh.count(f"{FAILED}\t".encode())


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells the story of the demo, each step with the seconds since its begin."""

    console: Console
    started: float

    def tell(self, text: str, style: str = "") -> None:
        """Tell a step."""
        seconds = f"[dim]{time.monotonic() - self.started:4.0f} s[/dim]  "
        self.console.print(seconds, end="", soft_wrap=True)
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def say(self, event: str, text: str, **_facts: object) -> None:
        """Take what the supervisor says: trouble, and which server is up."""
        self.tell(text, _STYLES.get(event, ""))

    def show(self, *things: object) -> None:
        """Show tables and lines as they are."""
        for thing in things:
            self.console.print(thing, soft_wrap=isinstance(thing, str))

    def conclude(self, *, ok: bool) -> None:
        """Tell the end."""
        text = "Everything matches the truth, nothing is unexplained." if ok else "NOT everything matches the truth."
        self.tell(text, "bold green" if ok else "bold red")


class Display:
    """Shows views of the queues, for a `with` block."""

    def __init__(self, teller: Teller) -> None:
        """Take where to show; a console without a terminal gets lines."""
        self._teller = teller
        self._live = Live(console=teller.console, refresh_per_second=4) if teller.console.is_terminal else None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Leave the last view on the screen."""
        if self._live:
            self._live.stop()

    def show(self, views: Sequence[QueueView]) -> None:
        """Show the queues as they are now."""
        if self._live:
            self._live.update(_live_table(views))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_SECONDS
            self._teller.tell(" | ".join(map(str, views)))


def _live_table(views: Sequence[QueueView]) -> Table:
    table = Table("queue", "incident", box=SIMPLE, title="Draining")
    for name in ("DLQ", "live", "delivered", "bounced"):
        table.add_column(name, justify="right")
    for view in views:
        counts = (view.dlq, view.live, view.delivered, view.bounced)
        table.add_row(view.queue, view.flow_run, *(f"{count:,}" for count in counts))
    return table


def score_table(scores: Sequence[Score]) -> Table:
    """Make the table of what became of every message, against the truth; 80 columns wide when all is well."""
    table = Table("queue", box=SIMPLE, padding=0, title="What happened to every message, against the known truth")
    titles = {
        "messages": "all",
        "held": "stopped",
        "kept": "corrupt",
        "unfinished": "undone",
        "duplicated": "twice",
        "unexpected": "strange",
    }
    adrift = ["unfinished"] if any(score.unfinished for score in scores) else []
    names = ["messages", "delivered", "bounced", "held", "kept", *adrift, "lost", "duplicated", "unexpected"]
    for name in names:
        table.add_column(titles.get(name, name), justify="right")
    table.add_column("truth")
    for score in scores:
        counts = (f"{getattr(score, name):,}" for name in names)
        table.add_row(score.queue, *counts, "yes" if score.matches else "NO")
    return table
