"""What people are told, and what became of the telling."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlq.config.policy import Severity


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people must hear about a queue.

    `kind` is a word for programs, such as `alert`, `assessment`, `plan`, `approval`, `escalation`, `verdict`,
    `breaker`, `progress`, `resolved`, `discarded`, `failed`, `depth-report`, `weekly-review`. `text` is plain text; it
    is escaped where a channel has a markup of its own. A notice with a `run_id` belongs to that run's incident: in
    Slack it is a line in the thread of the incident's one message. `level` (1 to 3) is the level of escalation that is
    called and mentioned. `link` is an address to look at, `plot` a PNG image.
    """

    kind: str
    queue: str
    title: str
    text: str = ""
    severity: Severity | None = None
    run_id: str = ""
    level: int | None = None
    link: str = ""
    plot: bytes | None = field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """Digest what the notice says: the same notice told twice is told once."""
        said = (self.kind, self.queue, self.title, self.text, self.run_id, str(self.level), self.link)
        return hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]


class Reached(StrEnum):
    """What became of a notice on one channel."""

    SENT = "sent"
    BEFORE = "sent before"
    FAILED = "failed"
    DOWN = "not tried"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a notice on one channel; `note` says why, where it did not get through."""

    channel: str
    reached: Reached
    note: str = ""
    title: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def missed(self) -> bool:
        """Say whether people should have heard it here and did not."""
        return self.reached in {Reached.FAILED, Reached.DOWN}
