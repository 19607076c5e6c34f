"""The one primitive that a broker has to offer: read a chunk, then commit a decision for each message of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dlq.records.ledger import LedgerBatch, RunRecord

T_co = TypeVar("T_co", covariant=True)

KEEP, REDRIVE, EDIT, QUARANTINE, DROP = b"k", b"m", b"e", b"q", b"d"
"""What a pass may do with a message, one byte each; a pass gives one a message, oldest first."""


class Place(StrEnum):
    """The lists of a queue that a pass can read or move to."""

    DLQ = "dlq"
    LIVE = "live"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to change a queue: a run that has its lock, and the fencing token that proves it."""

    run_id: str
    who: str
    token: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where a pass reads, and where what it moves goes."""

    source: Place = Place.DLQ
    redrive_to: Place = Place.LIVE
    undoes: str | None = None
    """The run whose work this pass takes back, if any."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One atomic broker call: a chunk as it was read, and a decision for each message of it.

    `actions` has one byte a message, oldest first, or a single byte for all of them. `entries` holds one packed
    ledger entry for each message that is not kept, `edited` the new bytes of each edited one, both oldest first.
    An empty `messages` with `count` rotates that many messages unseen (all kept). `beyond` are the next newer ones that
    were read: they are not touched, but by them the place is found again when somebody else took all of a small batch.
    """

    sequence: int
    wave: int
    count: int
    messages: Sequence[bytes]
    actions: bytes
    entries: bytes = b""
    edited: Sequence[bytes] = ()
    signatures: Sequence[tuple[int, str]] = ()
    beyond: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the broker did with a batch.

    `committed` is False when the chunk no longer lies where it was read: nothing was done, read again.
    `scanned` messages of it were still there, `vanished` were taken by somebody else in between: of the batch, and
    beyond it if all of the batch was.
    """

    scanned: int = 0
    vanished: int = 0
    depth: int = 0
    selected: int = 0
    repeated: bool = False
    committed: bool = True


MOVED = Receipt(committed=False)
"""The chunk is not where it was read; nothing was done."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a broker can do. Where it cannot, `note` tells people what follows from that."""

    looks: bool = True
    """What has arrived can be looked at without taking it, at a cost that does not grow with the queue."""
    exact_depth: bool = True
    """The depth counts what consumers hold, too."""
    exactly_once: bool = True
    """A message is moved once, whatever happens."""
    note: str = ""


class Pending(Protocol[T_co]):
    """An answer that is on its way."""

    def result(self) -> T_co:
        """Wait for the answer."""


@dataclass(frozen=True, slots=True)
class Ready(Pending[T_co]):
    """An answer that is here already."""

    value: T_co

    def result(self) -> T_co:
        """Return the value."""
        return self.value


@dataclass(slots=True)
class Later(Pending[T_co]):
    """An answer that is worked out when it is asked for, once."""

    work: Callable[[], T_co]
    _known: list[T_co] = field(init=False, default_factory=list)

    def result(self) -> T_co:
        """Work it out, or return what it was."""
        if not self._known:
            self._known.append(self.work())
        return self._known[0]


class DeadLetterQueue(Protocol):
    """One queue of one broker: its DLQ, live queue, quarantine, lock and ledger.

    Reads look from the consumer's end: `skip` messages are left out, then `count` are returned, oldest first.
    Answers come in the order of the calls. Errors are those of `dlq.errors`.
    """

    capabilities: Capabilities

    def depth(self, place: Place) -> int:
        """Count the messages at a place."""

    def read(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the consumer's end, oldest first."""

    def read_newest(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Read messages from the producer's end, newest first: concurrent consumers cannot hide any from this."""

    def lengths(self, place: Place, skips: Sequence[int]) -> Pending[list[int]]:
        """Measure single messages, counted from the consumer's end, in bytes; 0 where there is none."""

    def acquire(self, run_id: str, who: str, *, take_over: bool = False) -> Hold:
        """Take the queue's lock or raise LockedError with who has it. `take_over` takes a lock of the same run."""

    def holder(self) -> str | None:
        """Say which run holds the lock, and whose it is."""

    def renew(self, hold: Hold) -> None:
        """Keep the lock, or raise LockLostError."""

    def release(self, hold: Hold) -> None:
        """Give the lock back; does nothing when it is no longer ours."""

    def settle(self, hold: Hold, run_id: str) -> dict[Place, int]:
        """Find out how far a run came that `hold` is to take back; count what it may have sent and not recorded."""

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin pass number `step` of a run: freeze its selection at `length` messages (-1: all there are now)."""

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Do one batch atomically, with its ledger entry; the same sequence number is done once only."""

    def unstash(self, hold: Hold, undoes: str, sequence: int, fields: Sequence[str], entries: bytes) -> int:
        """Put dropped originals of a run back into the DLQ; return how many were."""

    def put(self, hold: Hold, sequence: int, messages: Sequence[bytes], entries: bytes) -> int:
        """Put messages from outside at the producer's end of the DLQ, oldest first; the same sequence is done once."""

    def finish(self, hold: Hold, state: str, fields: dict[str, str]) -> None:
        """Close the run in the ledger."""

    def annotate(self, run_id: str, fields: dict[str, str]) -> None:
        """Add facts to a run in the ledger (its report, its verification) whoever holds the lock."""

    def runs(self, limit: int) -> list[RunRecord]:
        """List the newest runs of the queue."""

    def run(self, run_id: str) -> RunRecord | None:
        """Look a run up."""

    def batches(self, run_id: str, after: int = 0) -> Iterator[LedgerBatch]:
        """Stream the ledger of a run, in the order of its commits, from behind sequence number `after`."""

    def originals(self, run_id: str, fields: Sequence[str]) -> list[bytes | None]:
        """Fetch the kept originals of edited, dropped or quarantined messages."""

    def signatures(self, run_id: str) -> dict[int, str]:
        """Fetch the signature texts that the run's ledger entries point to."""

    def close(self) -> None:
        """Let go of the connection."""
