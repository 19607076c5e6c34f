"""What lies in a DLQ: depth, ages, types, signatures, corruption, attempts; and how bad that is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.config import policy
from dlq.engine.chunks import MOST_READ, ChunkSize
from dlq.messages.reading import Reading
from dlq.messages.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlq.brokers.base import DeadLetterQueue, Pending
    from dlq.config.settings import QueueConfig
    from dlq.messages.signatures import Signature
    from dlq.messages.survey import Running


@dataclass(frozen=True, slots=True)
class SignatureCount:
    """The messages of one signature. Times are aware, in UTC; None where no message says when it failed."""

    signature: Signature
    count: int
    first_seen: datetime | None
    last_seen: datetime | None
    attempts_max: int | None
    per_minute: dict[int, int]
    """Messages by the epoch minute of their failure."""
    samples: tuple[str, ...]
    """Ids of a few messages."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """A DLQ at one moment. Counts are messages."""

    queue: str
    at: datetime
    depth: int
    live_depth: int
    quarantine_depth: int
    read: int
    corrupted: dict[str, int]
    types: dict[str, int]
    signatures: tuple[SignatureCount, ...]
    oldest: datetime | None
    newest: datetime | None
    severity: policy.Severity
    level: policy.Level | None
    growth_per_minute: float | None = None
    """Arrivals a minute of late; None when it is not known."""


def assess(
    queue: DeadLetterQueue,
    config: QueueConfig,
    *,
    limit: int | None = None,
    growth_per_minute: float | None = None,
) -> Assessment:
    """Read a DLQ once, changing nothing; memory grows with signatures and minutes, not with messages.

    `limit` bounds how many of its oldest messages are read. `growth_per_minute` (see `dlq.summaries.samples`) makes a
    queue that grows fast more severe; None is unknown.
    """
    reading = Reading.of(config)
    depth = queue.depth(Place.DLQ)
    survey = Survey(reading)
    read = 0
    for chunk in oldest_first(queue, Place.DLQ, depth if limit is None else min(limit, depth)):
        read += len(chunk)
        survey.add(chunk)
    counts = tuple(
        _finished(reading.book.signature(code), seen)
        for code, seen in sorted(survey.counts().items(), key=lambda item: -item[1].count)
    )
    types: Counter[str] = Counter()
    for seen in counts:
        types[seen.signature.type] += seen.count
    oldest = min((seen.first_seen for seen in counts if seen.first_seen), default=None)
    newest = max((seen.last_seen for seen in counts if seen.last_seen), default=None)
    return Assessment(
        config.name,
        datetime.now(UTC),
        depth,
        queue.depth(Place.LIVE),
        queue.depth(Place.QUARANTINE),
        read,
        dict(survey.corrupted.most_common()),
        dict(types.most_common()),
        counts,
        oldest,
        newest,
        policy.severity(config, depth, growth_per_minute=growth_per_minute, corrupted=survey.corrupted.total()),
        policy.level(config, depth, growth_per_minute=growth_per_minute),
        growth_per_minute,
    )


def oldest_first(queue: DeadLetterQueue, place: Place, total: int) -> Iterator[list[bytes]]:
    """Read `total` messages from the consumer's end, a chunk at a time; the next is on its way meanwhile."""
    size = ChunkSize(queue, place, MOST_READ)
    done = 0
    ahead: Pending[list[bytes]] | None = queue.read(place, 0, size.count(total)) if total else None
    while ahead is not None:
        chunk = ahead.result()
        size.saw(chunk)
        done += len(chunk)
        ahead = None
        if chunk and done < total:
            count = size.count(total - done)
            size.probe(done + count)
            ahead = queue.read(place, done, count)
        if chunk:
            yield chunk


def _finished(signature: Signature, seen: Running) -> SignatureCount:
    return SignatureCount(
        signature,
        seen.count,
        _moment(seen.first),
        _moment(seen.last),
        seen.attempts if seen.attempts >= 0 else None,
        dict(sorted(seen.minutes.items())),
        tuple(seen.samples),
    )


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
