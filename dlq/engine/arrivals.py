"""Where in the DLQ the messages lie that came in since a run last looked.

Each commit of a run pushes its kept messages on top of what had arrived before it, and the ledger has both counts, so
the DLQ reads, newest first: arrivals since the last commit, its kept ones, arrivals before it, and so on. Positions
are counted from the consumer's end here: whoever pushes meanwhile does not move them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.engine.chunks import MOST_READ, ChunkSize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlq.brokers.base import DeadLetterQueue


def unseen_spans(depth: int, newest: int, layers: Sequence[tuple[int, int]], unseen: int) -> list[tuple[int, int]]:
    """Give the spans (skip from the consumer's end, length) of the `unseen` newest arrivals, oldest first.

    `newest` of the `depth` messages came since the last commit; `layers` are (arrived, kept) of the commits before,
    as far back as needed, newest first.
    """
    spans, place = [], 0
    for arrived, kept in ((newest, 0), *layers):
        place += kept
        length = min(arrived, unseen)
        if length:
            spans.append((depth - place - length, length))
        unseen -= length
        place += arrived
        if not unseen:
            break
    return spans[::-1]


def read_spans(queue: DeadLetterQueue, spans: Sequence[tuple[int, int]]) -> Iterator[list[bytes]]:
    """Read spans of the DLQ, oldest message first, a chunk at a time."""
    size = ChunkSize(queue, Place.DLQ, MOST_READ)
    for skip, length in spans:
        done = 0
        while done < length:
            # The oldest of a span lies deepest: chunks are taken from the consumer's end towards the producer's.
            chunk = queue.read(Place.DLQ, skip + done, size.count(length - done)).result()
            if not chunk:
                break
            size.saw(chunk)
            done += len(chunk)
            yield chunk
