"""Times of failure, many at once."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dlq.messages.detection import as_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORM = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.([0-9]{3}|[0-9]{6}))?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SECONDS: Final = 19  # characters down to the seconds
_NUMBERS: Final = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]  # which of them are digits
_MICROSECONDS: Final = 1_000_000
_LATEST: Final = 9_000_000_000  # until here microseconds are exact in a float, as Python reads them
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
    table = np.frombuffer(joined.encode(), dtype="u1").reshape(len(texts), -1)
    varying = [*_NUMBERS, *fraction]
    fixed = [column for column in range(table.shape[1]) if column not in varying]
    digits = table[:, varying] - ord("0")  # what is no digit becomes more than 9
    if digits.max() > 9 or (table[:, fixed] != table[0, fixed]).any():  # noqa: PLR2004
        return _one_by_one(texts)
    try:
        offset = datetime.fromisoformat(texts[0]).utcoffset() or _NONE
        seconds = np.ascontiguousarray(table[:, :_SECONDS]).view(f"S{_SECONDS}").ravel().astype("datetime64[s]")
    except ValueError:  # a 30th of February
        return _one_by_one(texts)
    since = seconds.astype("i8") - int(offset.total_seconds())
    if since.min() < 0 or since.max() > _LATEST:
        return _one_by_one(texts)
    powers = 10 ** np.arange(5, 5 - len(fraction), -1)
    whens: np.ndarray = (since * _MICROSECONDS + digits[:, len(_NUMBERS) :] @ powers) / _MICROSECONDS
    return whens
