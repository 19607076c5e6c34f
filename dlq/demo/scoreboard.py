"""Compare where every message is at the end, and what the workers did, with the known truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from dlq.demo.workers import DELIVERED, FAILED, UNREADABLE, LogLine
from dlq.demo.world import Fate
from dlq.records.ledger import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dlq.demo.world import Letter


@dataclass(frozen=True, slots=True)
class Places:
    """All messages that lie in the three lists of a queue."""

    dlq: tuple[bytes, ...]
    live: tuple[bytes, ...]
    quarantine: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the messages of one queue. Counts are messages.

    `delivered`, `bounced` and `kept` have the fate that the truth says; `held` were left in the DLQ, since failures of
    their kind came back and were stopped. `unfinished` exist once, elsewhere than they should; `unexpected` are in a
    list or a log, and are not what was put in or what a worker pushed back.
    """

    queue: str
    messages: int
    delivered: int
    bounced: int
    kept: int
    held: int
    unfinished: int
    lost: int
    duplicated: int
    unexpected: int

    @property
    def matches(self) -> bool:
        """Whether every message has the fate that the truth says, and nothing else was seen."""
        right = self.delivered + self.bounced + self.kept + self.held
        return right == self.messages and not (self.unfinished or self.lost or self.duplicated or self.unexpected)


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """The scores of all queues, and how many messages the ledgers of the runs leave unexplained."""

    scores: tuple[Score, ...]
    unexplained: int

    @property
    def ok(self) -> bool:
        """Whether the truth matches everywhere and the ledgers explain every message."""
        return self.unexplained == 0 and all(score.matches for score in self.scores)


@dataclass(slots=True)
class _Sightings:
    """Where one message was seen: places that it lies in, workers that delivered it, and failed it."""

    dlq: int = 0
    elsewhere: int = 0
    delivered: int = 0
    failed: int = 0

    @property
    def untouched(self) -> bool:
        """Say whether it lies in the DLQ, once, and no worker has ever had it."""
        return self.dlq == self.copies == 1 and not self.failed

    @property
    def copies(self) -> int:
        return self.dlq + self.elsewhere + self.delivered

    def fits(self, fate: Fate) -> bool:
        """Say whether these sightings are the fate, of a message that exists once."""
        if fate is Fate.BOUNCED:
            return self.dlq == 1 and self.failed == 1
        return self.delivered == 1 and self.failed == 0


class _Account:
    """Takes in places and logs of one queue, and gives each healthy message its sightings."""

    def __init__(self, letters: Iterable[Letter]) -> None:
        """Take what was put in."""
        self.healthy = {letter.id: letter for letter in letters if letter.id is not None}
        self.corrupted = Counter(letter.raw for letter in letters if letter.id is None)
        self.kept = 0
        self.misplaced = 0
        self.unexpected = 0
        self.seen: defaultdict[str, _Sightings] = defaultdict(_Sightings)
        self._pushed: defaultdict[str, set[str]] = defaultdict(set)

    def log(self, line: LogLine) -> None:
        """Count one line of a worker; what it took must be what was put in, byte for byte, or pushed back before."""
        letter = self.healthy.get(line.id)
        if line.what == UNREADABLE or letter is None:
            self.unexpected += 1
            return
        if line.taken != fingerprint(letter.raw).hex() and line.taken not in self._pushed[line.id]:
            self.unexpected += 1
        sightings = self.seen[line.id]
        sightings.delivered += line.what == DELIVERED
        if line.what == FAILED:
            sightings.failed += 1
            self._pushed[line.id].add(line.pushed)

    def place(self, raw: bytes, *, in_dlq: bool, put_aside: bool = False) -> None:
        """Count one message that lies in a list; a corrupted one belongs into the DLQ or, better, the quarantine."""
        if self.corrupted[raw] > 0:
            self.corrupted[raw] -= 1
            right = in_dlq or put_aside
            self.kept += right
            self.misplaced += not right
            return
        ident = _id(raw)
        letter = self.healthy.get(ident) if ident else None
        if letter is None or (raw != letter.raw and fingerprint(raw).hex() not in self._pushed[letter.id or ""]):
            self.unexpected += 1
            return
        sightings = self.seen[letter.id or ""]
        sightings.dlq += in_dlq
        sightings.elsewhere += not in_dlq


def _id(raw: bytes) -> str | None:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    ident = body.get("id") if isinstance(body, dict) else None
    return ident if isinstance(ident, str) else None


def nothing_held(_raw: bytes) -> bool:
    """Say that no signature was stopped."""
    return False


def score(
    queue: str,
    letters: Iterable[Letter],
    places: Places,
    log: Iterable[LogLine],
    is_held: Callable[[bytes], bool] = nothing_held,
) -> Score:
    """Compare one queue with its truth; the workers must have stopped. `is_held`: of a signature that was stopped."""
    letters = tuple(letters)
    account = _Account(letters)
    for line in log:
        account.log(line)
    for raw in places.dlq:
        account.place(raw, in_dlq=True)
    for raw in places.live:
        account.place(raw, in_dlq=False)
    for raw in places.quarantine:
        account.place(raw, in_dlq=False, put_aside=True)
    right: Counter[Fate] = Counter()
    lost, duplicated, unfinished, held = account.corrupted.total(), 0, account.misplaced, 0
    for ident, letter in account.healthy.items():
        sightings = account.seen[ident]
        lost += sightings.copies == 0
        duplicated += max(0, sightings.copies - 1)
        if sightings.copies == 1:
            fits = sightings.fits(letter.fate)
            left = not fits and sightings.untouched and is_held(letter.raw)
            right[letter.fate] += fits
            held += left
            unfinished += not (fits or left)
    return Score(
        queue,
        len(letters),
        right[Fate.DELIVERED],
        right[Fate.BOUNCED],
        account.kept,
        held,
        unfinished,
        lost,
        duplicated,
        account.unexpected,
    )
