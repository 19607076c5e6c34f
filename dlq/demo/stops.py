"""The signatures that a run of the demo stopped, and whether the truth agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dlq.demo.world import Fate
from dlq.engine import bounces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlq.config.queues import QueueConfig
    from dlq.demo.world import Letter
    from dlq.messages.reading import Reading
    from dlq.records.ledger import RunRecord

_DOUBT: Final = 0.5  # of the limit: a signature that fails less often than this should not have been stopped


@dataclass(frozen=True, slots=True)
class Stop:
    """A signature that was stopped: how many of its messages went out, of how many, and how many of all would fail."""

    name: str
    sent: int
    messages: int
    failing: int
    right: bool

    def __str__(self) -> str:
        """Say it in a line."""
        share = self.failing / max(1, self.messages)
        verdict = "" if self.right else "  [bold red]although it had healed[/bold red]"
        sent = f"stopped after {self.sent:,} of {self.messages:,}"
        return f"{sent}: {self.name} ({share:.0%} of them fail, in truth){verdict}"


class Stops:
    """What one run stopped."""

    def __init__(self, record: RunRecord | None, reading: Reading) -> None:
        """Read it from the ledger; no run has stopped nothing."""
        self._stopped = {stopped.key: stopped for stopped in bounces.stopped(record)} if record else {}
        self._reading = reading

    def holds(self, raw: bytes) -> bool:
        """Say whether a message is of a signature that was stopped."""
        return bool(self._stopped) and self._key(raw) in self._stopped

    def against(self, letters: Iterable[Letter], config: QueueConfig) -> list[Stop]:
        """Compare each stop with the truth about the messages of its signature."""
        of_key: dict[str, list[Letter]] = {key: [] for key in self._stopped}
        for letter in letters if of_key else ():
            if (key := self._key(letter.raw)) in of_key:
                of_key[key].append(letter)
        found = []
        for key, some in of_key.items():
            failing = sum(letter.fate is Fate.BOUNCED for letter in some)
            name = str(self._reading.book.signature(self._code(some[0].raw))) if some else key
            right = failing > config.loop.bounce_limit * _DOUBT * len(some)
            found.append(Stop(name, self._stopped[key].sent, len(some), failing, right))
        return found

    def _code(self, raw: bytes) -> int:
        return self._reading.book.code(self._reading.reader.read(raw))

    def _key(self, raw: bytes) -> str:
        return self._reading.book.key(self._code(raw))
