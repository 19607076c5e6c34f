"""How many messages fit into one call, by count and by bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlq.brokers.base import DeadLetterQueue, Pending, Place

MAX_MESSAGES = 500  # a commit of so many takes Redis 1 ms: a time slice of the kernel's may come on top, within 5 ms
MOST_READ = 1_000  # where nothing is committed: reading as many takes half as long
LEAST_MESSAGES = 64
MAX_BYTES = 512 * 1024  # one call moves no more than this, for the same reason
_PROBES = 6  # each is a walk from the nearer end of the list
_APART = 200  # or more of them, so that no more messages than these lie between two
_DEEP = 20_000  # from here on the walks are long, and there are fewer
_DEEP_PROBES = 3


@dataclass(slots=True)
class ChunkSize:
    """Sizes the next chunk from the last one and from probes into what lies ahead.

    A list cannot be asked for its bytes, and dead letters are often dead because they are huge: reading 1,000 of
    10 MB blindly would hurt the broker. So the lengths of a few messages ahead are measured first.
    """

    queue: DeadLetterQueue
    place: Place
    limit: int = MAX_MESSAGES
    most: int = field(init=False)
    _seen: float = field(init=False, default=0.0)
    _ahead: float = field(init=False, default=0.0)
    _probe: Pending[list[int]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin with as many as may be."""
        self.most = self.limit

    def count(self, remaining: int) -> int:
        """Say how many messages to ask for, of `remaining`."""
        if self._probe is None and not self._ahead:
            self.probe(0, 2 * self.limit)  # the chunk in hand, and the one that is asked for meanwhile
        if self._probe is not None:
            lengths = [length for length in self._probe.result() if length]
            self._ahead = sum(lengths) / len(lengths) if lengths else 0.0
            self._probe = None
        expected = max(self._seen, self._ahead, 1.0)
        return max(1, min(remaining, self.most, int(MAX_BYTES / expected)))

    def probe(self, skip: int, reach: int = 0) -> None:
        """Measure a few of the `reach` messages beyond `skip` (0: of a chunk), to be used by the next `count`.

        `skip` is where that next chunk begins: behind all that was asked for already.
        """
        reach = reach or self.limit
        probes = max(_PROBES, reach // _APART + 1) if skip < _DEEP else _DEEP_PROBES
        step = (reach - 1) / (probes - 1)  # the first and the last are among them
        self._probe = self.queue.lengths(self.place, [skip + int(step * i) for i in range(probes)])

    def saw(self, chunk: Sequence[bytes]) -> None:
        """Learn from a chunk that was read."""
        if chunk:
            self._seen = sum(map(len, chunk)) / len(chunk)
            self.most = min(self.limit, self.most * 2)

    def shrink(self) -> None:
        """Ask for less, which takes less time: somebody else is taking messages at the same end.

        But not for so few that all that was read may be gone before it is committed.
        """
        self.most = min(self.most, max(LEAST_MESSAGES, self.most // 2))
