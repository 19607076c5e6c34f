"""The one primitive: pass over a queue from the consumer's end, with a decision for each message.

While the broker commits one chunk and fetches the next, the chunk in hand is decided on. A pass ends after the
length that it was begun with, so what arrives meanwhile is never selected; kept messages rotate to the producer's
end and keep their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dlq.brokers.base import KEEP, Batch, DeadLetterQueue, Hold, Pending, Receipt, Route
from dlq.engine.chunks import LEAST_MESSAGES, ChunkSize
from dlq.errors import QueueDisturbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dlq.records.ledger import RunRecord

_PATIENCE = 60  # disturbed commits in a row before we give up


class Verdict(NamedTuple):
    """Decisions for a chunk, oldest message first; `actions` has one byte a message or one for all."""

    actions: bytes
    entries: list[bytes]
    edited: list[bytes]
    codes: list[int]
    """The signature code of each message; UNREAD may stand for that of a kept one."""
    refused: int = 0
    """Messages that were kept because their edit did not apply."""
    taken: tuple[object, ...] = ()
    """What the decider used up, one for each entry (or nothing), to be handed back when that is not carried out."""

    def cut(self, size: int, budget: int) -> tuple[int, Verdict]:
        """Keep as much of the front as selects `budget` messages; return (messages, verdict)."""
        if len(self.entries) <= budget:
            return size, self
        if len(self.actions) == 1:
            front = Verdict(self.actions, self.entries[:budget], self.edited[:budget], self.codes[:budget])
            return budget, front._replace(taken=self.taken[:budget])
        selected = (place for place, action in enumerate(self.actions) if action != KEEP[0])
        end = next(islice(selected, budget - 1, None)) + 1 if budget else 0
        actions = self.actions[:end]
        edits = actions.count(b"e")
        front = Verdict(actions, self.entries[:budget], self.edited[:edits], self.codes[:end], self.refused)
        return end, front._replace(taken=self.taken[:budget])


class Decider(Protocol):
    """Decides on the messages of a chunk."""

    def __call__(self, messages: list[bytes]) -> Verdict:
        """Return a decision for each message, oldest first."""

    def take_back(self, verdict: Verdict) -> None:
        """Forget a verdict that was not carried out: the chunk will be asked about again."""

    def new_signatures(self) -> list[tuple[int, str]]:
        """Return the signatures met since the last call: (code, text)."""


@dataclass(frozen=True, slots=True)
class Wave:
    """What a wave did. Counts are messages; `ended` says that the pass is at its end."""

    number: int
    scanned: int = 0
    selected: int = 0
    refused: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class _Posted:
    """A batch whose receipt is still to come."""

    batch: Batch
    verdict: Verdict
    receipt: Pending[Receipt]


class _Settled(NamedTuple):
    """How a posted batch ended; `back`: selected messages that it did not get to, for the wave's budget."""

    committed: bool = True
    back: int = 0


_KEEP_ALL = Verdict(KEEP, [], [], [])


def ignore(receipt: Receipt, verdict: Verdict) -> None:
    """Watch nothing."""


@dataclass(slots=True)
class Sift:
    """A pass of a run over one place of a queue."""

    queue: DeadLetterQueue
    hold: Hold
    route: Route
    record: RunRecord
    decide: Decider
    watch: Callable[[Receipt, Verdict], None] = ignore
    read_ahead: bool = True
    remaining: int = field(init=False)
    kept: int = field(init=False)
    _sequence: int = field(init=False)
    _wave: Wave = field(init=False)
    _fitting: ChunkSize = field(init=False)
    _disturbed: int = field(init=False, default=0)
    _unsent: list[tuple[int, str]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Go on where the ledger says that the run is."""
        self.remaining = self.record.remaining
        self.kept = self.record.kept
        self._sequence = self.record.sequence
        self._wave = Wave(self.record.wave)
        self._fitting = ChunkSize(self.queue, self.route.source)

    def wave(self, number: int, budget: int | None = None) -> Wave:
        """Go on until `budget` messages are selected (None: no limit) or the pass is at its end."""
        self._wave = Wave(number)
        left = self.remaining if budget is None else budget
        chunk: list[bytes] = []
        posted: _Posted | None = None
        while True:
            if not chunk:
                left += self._settle(posted).back
                posted = None
                chunk = self._read(left)
                if not chunk:
                    break
            ahead = self._ask_ahead(len(chunk), left)
            verdict = self.decide(chunk)
            settled = self._settle(posted)
            left += settled.back
            if not settled.committed:  # then this chunk is not where it was read either
                self.decide.take_back(verdict)
                posted, chunk = None, self._forget(ahead)
                continue
            whole = verdict
            size, verdict = whole.cut(len(chunk), left)
            if whole.taken[len(verdict.entries) :]:  # what the wave has no room for is decided on again by the next
                self.decide.take_back(whole._replace(taken=whole.taken[len(verdict.entries) :]))
            posted = self._post(number, chunk[:size], verdict, beyond=chunk[size : max(size, LEAST_MESSAGES)])
            left -= len(verdict.entries)
            chunk = self._take(ahead) if ahead and size == len(chunk) and left > 0 else self._forget(ahead)
        return replace(self._wave, ended=self.remaining == 0)

    def complete(self) -> None:
        """Rotate what the pass has not looked at, so that kept messages stand in their old order again."""
        if self.kept:
            self.turn()

    def turn(self) -> None:
        """Rotate what is left of the pass, unread."""
        while self.remaining:
            self._settle(self._post(self._wave.number, [], _KEEP_ALL, self._fitting.count(self.remaining)))

    def _read(self, left: int) -> list[bytes]:
        """Read the chunk at the consumer's end; nothing when the wave or the pass is over."""
        if left <= 0 or not self.remaining:
            return []
        count = self._fitting.count(self.remaining)
        chunk = self.queue.read(self.route.source, 0, count).result()
        if not chunk:  # somebody else emptied the list
            self.remaining = 0
        self._fitting.saw(chunk)
        return chunk

    def _ask_ahead(self, size: int, left: int) -> Pending[list[bytes]] | None:
        """Ask for the chunk after this one, if the wave can get there."""
        beyond = self.remaining - size
        if not self.read_ahead or beyond <= 0 or left <= size or self._disturbed:
            return None
        count = self._fitting.count(beyond)
        self._fitting.probe(size + count)
        return self.queue.read(self.route.source, size, count)

    def _take(self, ahead: Pending[list[bytes]]) -> list[bytes]:
        chunk = ahead.result()
        self._fitting.saw(chunk)
        return chunk

    def _forget(self, ahead: Pending[list[bytes]] | None) -> list[bytes]:
        if ahead:
            ahead.result()
        return []

    def _post(
        self, wave: int, chunk: Sequence[bytes], verdict: Verdict, count: int = 0, beyond: Sequence[bytes] = ()
    ) -> _Posted:
        """Send a batch; its receipt is read while the next chunk is decided on."""
        self._sequence += 1
        self._unsent += self.decide.new_signatures()
        batch = Batch(
            self._sequence,
            wave,
            count or len(chunk),
            chunk,
            verdict.actions,
            b"".join(verdict.entries),
            verdict.edited,
            tuple(self._unsent),
            beyond,
        )
        self._unsent = []
        self.remaining -= batch.count
        return _Posted(batch, verdict, self.queue.commit(self.hold, self.route, batch))

    def _settle(self, posted: _Posted | None) -> _Settled:
        """Take in the receipt of a batch."""
        if posted is None:
            return _Settled()
        receipt = posted.receipt.result()
        if receipt.committed:
            self._disturbed = 0
            self.remaining -= max(0, receipt.scanned + receipt.vanished - posted.batch.count)  # vanished beyond it
            self._count(receipt, posted.verdict)
            return _Settled(back=len(posted.verdict.entries) - receipt.selected)
        self._sequence -= 1
        self.remaining += posted.batch.count
        self._unsent = [*posted.batch.signatures, *self._unsent]
        self.decide.take_back(posted.verdict)
        self._disturbed += 1
        self._fitting.shrink()
        if self._disturbed > _PATIENCE:
            raise QueueDisturbedError(
                f"queue of run {self.hold.run_id}: somebody else keeps taking messages from the same end of"
                f" {self.route.source.value}; nothing of this batch was moved. Stop them, then resume the run."
            )
        return _Settled(committed=False, back=len(posted.verdict.entries))

    def _count(self, receipt: Receipt, verdict: Verdict) -> None:
        self.kept += receipt.scanned - receipt.selected
        self._wave = replace(
            self._wave,
            scanned=self._wave.scanned + receipt.scanned,
            selected=self._wave.selected + receipt.selected,
            refused=self._wave.refused + verdict.refused,
        )
        self.watch(receipt, verdict)
