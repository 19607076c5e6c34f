"""Times of failure, many at once."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dlq.messages.detection import as_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORM = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.([0-9]{3}|[0-9]{6}))?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_NUMBERS: Final = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]  # which characters are digits, down to the seconds
_HIGHEST: Final = np.array([99, 99, 12, 31, 23, 59, 59])  # of each two of them: century, year, month, day, ...
_SECONDS: Final = np.array([86_400, 3600, 60, 1])  # in a day, an hour, a minute, a second
_FIRST_YEAR, _BEYOND = 1970, 2255  # the years that are read together: microseconds are exact in a float until then
_MICROSECONDS: Final = 1_000_000
_NONE: Final = timedelta(0)


def moments(values: Sequence[Any]) -> np.ndarray:
    """Read each value as `as_moment` does: epoch seconds, nan for what is no time.

    Times of one job system have one form, and those of one form are read together.
    """
    try:
        if len(set(map(len, values))) == 1:
            return _alike(values)
    except TypeError:  # not all are texts
        pass
    whens = np.empty(len(values))
    by_length: dict[int, list[int]] = {}
    for place, value in enumerate(values):
        by_length.setdefault(len(value) if isinstance(value, str) else -1, []).append(place)
    for length, places in by_length.items():
        some = [values[place] for place in places]
        whens[places] = _one_by_one(some) if length < 0 else _alike(some)
    return whens


def _one_by_one(values: Sequence[Any]) -> np.ndarray:
    """Read times of any form."""
    whens = map(as_moment, values)
    return np.fromiter((np.nan if when is None else when for when in whens), dtype="f8", count=len(values))


def _alike(texts: Sequence[str]) -> np.ndarray:
    """Read texts of one length, at once where all have the form of the first."""
    joined = "".join(texts)
    form = _FORM.fullmatch(texts[0])
    if form is None or not joined.isascii():
        return _one_by_one(texts)
    fraction = range(*form.span(1)) if form[1] else range(0)
    table = np.frombuffer(joined.encode(), dtype="u1").reshape(len(texts), -1).T.copy()  # a row for each character
    fixed = [row for row in range(len(table)) if row not in _NUMBERS and row not in fraction]
    digits = table[[*_NUMBERS, *fraction]] - ord("0")  # what is no digit becomes more than 9
    if digits.max() > 9 or (table[fixed] != table[fixed, :1]).any():  # noqa: PLR2004
        return _one_by_one(texts)
    try:
        offset = datetime.fromisoformat(texts[0]).utcoffset() or _NONE
    except ValueError:  # a 30th of February
        return _one_by_one(texts)
    seconds = _seconds(digits[: len(_NUMBERS)])
    if seconds is None or (seconds := seconds - int(offset.total_seconds())).min() < 0:
        return _one_by_one(texts)
    if fraction:
        powers = 10 ** np.arange(5, 5 - len(fraction), -1)
        seconds = (seconds * _MICROSECONDS + powers @ digits[len(_NUMBERS) :]) / _MICROSECONDS
    return seconds.astype("f8", copy=False)


def _seconds(digits: np.ndarray) -> np.ndarray | None:
    """Turn rows of digits (year to seconds) into epoch seconds; None where any is out of range."""
    parts = digits[::2] * 10 + digits[1::2]
    if (parts.max(axis=1) > _HIGHEST).any() or not parts[2:4].min():
        return None
    parts = parts.astype("i8")
    months = (parts[0] * 100 + parts[1] - _FIRST_YEAR) * 12 + parts[2] - 1
    begins = _months()
    if months.min() < 0 or months.max() >= len(begins) - 1:
        return None
    days = begins[months] + parts[3] - 1
    if (days >= begins[months + 1]).any():
        return None
    seconds: np.ndarray = _SECONDS @ np.vstack((days, parts[4:]))
    return seconds


@cache
def _months() -> np.ndarray:
    """Give the first day of each month, counted from the first."""
    months = np.arange(f"{_FIRST_YEAR}-01", f"{_BEYOND}-01", dtype="datetime64[M]")
    return months.astype("datetime64[D]").astype("i8")
