"""A bounded sample of a DLQ: what its messages look like, without what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.diagnosis.facts import Sampled
from dlq.diagnosis.shapes import shape
from dlq.messages.detection import CANDIDATES
from dlq.messages.reading import Reading
from dlq.systems.loglines import clean

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import FieldConfig, QueueConfig

_PLACES = 20  # where in the queue is looked
_EACH = 100  # messages a place
_OF_THE_FAILURE = ("error", "error_class", "attempts", "failed_at")


def sample(queue: DeadLetterQueue, config: QueueConfig) -> tuple[Sampled, ...]:
    """Read up to 2,000 messages, evenly over the DLQ. Values are forgotten at once, kinds of values are kept."""
    depth = queue.depth(Place.DLQ)
    reading = Reading.of(config)
    found = []
    step = max(_EACH, depth // _PLACES)
    for skip in range(0, depth, step):
        for message in queue.read(Place.DLQ, skip, min(_EACH, depth - skip)).result():
            envelope = reading.reader.read(message)
            signature = reading.book.signature(reading.book.code(envelope))
            found.append(Sampled(signature.key, clean(envelope.error), shape(envelope.body or {})))
    return tuple(found)


def own_fields(fields: FieldConfig) -> frozenset[str]:
    """List the paths of the fields that tell of a failure and belong to no message before it failed."""
    usual = {name for field in _OF_THE_FAILURE for name in CANDIDATES[field]}
    said = {path for field in _OF_THE_FAILURE if (path := getattr(fields, field)) is not None}
    return frozenset(usual | said | set(fields.volatile) | {"stack", "stacktrace", "traceback", "trace", "history"})
