"""The bulk way to count a DLQ: by signature, moment and attempts, without an envelope for each message."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dlq.messages.lanes import SLICE, Group, Lanes
from dlq.messages.moments import moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlq.messages.reading import Reading

_MINUTE: Final = 60
_SAMPLES: Final = 3  # ids of a signature: enough to look one up
_MOST_MINUTES: Final = 5_000  # bounds the histogram; older minutes are put together into hours
_AT_ONCE: Final = 50_000  # moments that are sorted in one go; they take some 2 MB
_WHOLE: Final = {int}
_NO_COUNT: Final = -1
_NO_FIELD: Final = float("nan")  # this very object stands for the time where the shape has no field for it
_APART: Final = 1 << 40  # more minutes than there are: packs code and minute into one number


@dataclass(slots=True)
class Running:
    """The running counts of one signature. Moments are epoch seconds; `minutes` counts messages by epoch minute."""

    count: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    attempts: int = _NO_COUNT
    minutes: Counter[int] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Survey:
    """Counts chunks of messages; equal in every result to the envelopes of the messages.

    Messages of a usual shape go through the lanes; all else goes through the reader, and the lanes learn from it.
    """

    reading: Reading
    corrupted: Counter[str] = field(init=False, default_factory=Counter)
    _running: dict[int, Running] = field(init=False, default_factory=dict)
    _lanes: Lanes = field(init=False)
    _codes: list[int] = field(init=False, default_factory=list)
    _tries: list[int] = field(init=False, default_factory=list)
    _moments: list[np.ndarray] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Begin with empty tables."""
        self._lanes = Lanes(self.reading.reader)

    def add(self, messages: list[bytes]) -> None:
        """Count a chunk."""
        codes: list[Any] = []
        times: list[Any] = []
        tries: list[Any] = []
        for start in range(0, len(messages), SLICE):
            columns = self._columns(messages[start : start + SLICE])
            codes += columns[0]
            times += columns[1]
            tries += columns[2]
        whens = moments(times)
        # What is no time makes the reader look at other fields, if there are any.
        odd = {place for place in np.flatnonzero(np.isnan(whens)).tolist() if times[place] is not _NO_FIELD}
        if None in codes:
            odd.update(place for place, code in enumerate(codes) if code is None)
        for place in sorted(odd):
            codes[place], whens[place], tries[place] = self._read(messages[place])
        self._codes += codes
        self._tries += tries
        self._moments.append(whens)
        if len(self._codes) >= _AT_ONCE:
            self._settle()

    def counts(self) -> dict[int, Running]:
        """Give the counts so far, by signature code."""
        self._settle()
        return self._running

    def _columns(self, messages: list[bytes]) -> tuple[Sequence[int | None], Sequence[Any], Sequence[Any]]:
        """Give codes, times and attempts of a slice; a code is None where the reader has to look."""
        groups = self._lanes.groups(messages)
        if len(groups) == 1 and len(groups[0].places) == len(messages):
            return _columns_of(groups[0])
        codes: list[int | None] = [None] * len(messages)
        times: list[Any] = [None] * len(messages)
        tries: list[Any] = [None] * len(messages)
        for group in groups:
            for place, code, when, attempts in zip(group.places, *_columns_of(group), strict=True):
                codes[place], times[place], tries[place] = code, when, attempts
        return codes, times, tries

    def _read(self, raw: bytes) -> tuple[int, float, int]:
        """Read one message by its envelope, and learn from it for the next of its kind."""
        envelope = self.reading.reader.read(raw)
        code = self.reading.book.code(envelope)
        self._lanes.learn(envelope, code)
        if envelope.corruption is not None:
            self.corrupted[envelope.corruption] += 1
        samples = self._of(code).samples
        if len(samples) < _SAMPLES and envelope.id is not None:
            samples.append(envelope.id)
        attempts = _NO_COUNT if envelope.attempts is None else envelope.attempts
        return code, np.nan if envelope.failed_at is None else envelope.failed_at, attempts

    def _of(self, code: int) -> Running:
        seen = self._running.get(code)
        if seen is None:
            seen = self._running[code] = Running()
        return seen

    def _settle(self) -> None:
        """Bring what came since the last time into the counts of the signatures."""
        if not self._codes:
            return
        codes, whens = np.array(self._codes), np.concatenate(self._moments)
        try:
            tries = np.array(self._tries, dtype="i8")
        except OverflowError:
            tries = np.array(self._tries, dtype=object)
        self._count_tries(codes, tries)
        self._codes, self._tries, self._moments = [], [], []
        known = ~np.isnan(whens)
        if not known.all():
            codes, whens = codes[known], whens[known]
        size = int(codes.max(initial=0)) + 1
        first, last = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(first, codes, whens)
        np.maximum.at(last, codes, whens)
        pairs, counts = np.unique(codes * _APART + whens.astype("i8") // _MINUTE, return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            code, minute = divmod(pair, _APART)
            self._running[code].minutes[minute] += count
        for code in np.unique(pairs // _APART).tolist():
            seen = self._running[code]
            seen.first, seen.last = min(seen.first, float(first[code])), max(seen.last, float(last[code]))
            if len(seen.minutes) > _MOST_MINUTES:
                seen.minutes = _coarser(seen.minutes)

    def _count_tries(self, codes: np.ndarray, tries: np.ndarray) -> None:
        """Count the messages of each signature, and find its most attempts."""
        counts = np.bincount(codes)
        most = np.full(len(counts), _NO_COUNT, dtype=tries.dtype)  # of Python's own integers, where one is very long
        np.maximum.at(most, codes, tries)
        for code in np.flatnonzero(counts).tolist():
            seen = self._of(code)
            seen.count += int(counts[code])
            seen.attempts = max(seen.attempts, int(most[code]))


def _columns_of(group: Group) -> tuple[Sequence[int | None], Sequence[Any], Sequence[Any]]:
    """Give codes, times and attempts of a group; a code is None where the reader has to look."""
    lane, codes = group.lane, group.codes
    if not lane.counted:
        codes = [None] * len(codes)
    times = [_NO_FIELD] * len(codes) if lane.moment is None else group.columns[lane.moment]
    tries = [_NO_COUNT] * len(codes) if lane.attempts is None else group.columns[lane.attempts]
    if lane.attempts is not None and set(map(type, tries)) != _WHOLE:
        # True is 1 to a Counter, and texts of numbers need reading.
        codes = [code if type(one) is int else None for code, one in zip(codes, tries, strict=True)]
    return codes, times, tries


def _coarser(minutes: Counter[int]) -> Counter[int]:
    """Put the older half of the minutes together by the hour."""
    middle = sorted(minutes)[len(minutes) // 2]
    merged: Counter[int] = Counter()
    for minute, count in minutes.items():
        merged[minute if minute >= middle else minute - minute % 60] += count
    return merged
