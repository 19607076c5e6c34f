"""A quick look at a queue: a few broker calls, whatever its depth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dlq.brokers.base import Place
from dlq.config import policy
from dlq.summaries.samples import oldest_known

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.messages.reading import Reading

_LOOKED_AT = 100  # messages, in search of one that says when it failed


@dataclass(frozen=True, slots=True)
class Status:
    """A queue at one moment. Depths are messages; `oldest` is when the oldest message that says so failed.

    `undated` are the messages older than that one, corrupted ones mostly; without any `oldest` those looked at.
    """

    queue: str
    depth: int
    live: int
    quarantine: int
    oldest: datetime | None
    severity: str
    level: int | None
    called: str | None
    held_by: str | None
    growth_per_minute: float | None = None
    undated: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Render for JSON."""
        return {**asdict(self), "oldest": self.oldest.isoformat() if self.oldest else None}


def look(queue: DeadLetterQueue, config: QueueConfig, growth_per_minute: float | None = None) -> Status:
    """Take a quick look at a queue; `growth_per_minute` is what is known of its growth, see `dlq.summaries.samples`."""
    depth = queue.depth(Place.DLQ)
    oldest, undated = oldest_known(queue, config, _LOOKED_AT)
    level = policy.level(config, depth, growth_per_minute=growth_per_minute)
    return Status(
        config.name,
        depth,
        queue.depth(Place.LIVE),
        queue.depth(Place.QUARANTINE),
        oldest,
        policy.severity(config, depth, growth_per_minute=growth_per_minute).value,
        level.number if level else None,
        level.who if level else None,
        queue.holder(),
        growth_per_minute,
        undated,
    )


def describe(message: bytes, reading: Reading, *, body: bool) -> dict[str, Any]:
    """Say what a message is; its body only when asked for."""
    envelope = reading.reader.read(message)
    signature = reading.book.signature(reading.book.code(envelope))
    failed_at = datetime.fromtimestamp(envelope.failed_at, UTC) if envelope.failed_at is not None else None
    row: dict[str, Any] = {
        "id": envelope.id,
        "type": envelope.type,
        "signature": f"{signature.key} {signature}",
        "attempts": envelope.attempts,
        "failed_at": failed_at.isoformat(timespec="seconds") if failed_at else None,
        "bytes": len(message),
    }
    if body:
        row["message"] = message.decode("utf-8", "backslashreplace")
    return row
