"""A compact multiset of 8-byte digests: a million of them in about 13 MB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


class DigestSet:
    """Counts how often each digest was put in, and gives each out at most that often."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Take in digests, as chunks of concatenated 8-byte pieces."""
        pieces = bytearray()
        for chunk in chunks:
            pieces += chunk
        values = np.frombuffer(pieces, dtype="<u8")  # the bytes themselves, not a copy of them
        values.sort()
        self._values = values
        self._taken = np.zeros(len(values), dtype=bool)
        self.left = len(values)

    def __len__(self) -> int:
        """Count the digests that were put in."""
        return len(self._values)

    def take(self, digests: bytes) -> np.ndarray:
        """Take one out for each of the given digests; return which could be had."""
        wanted = np.frombuffer(digests, dtype="<u8")
        got = np.zeros(len(wanted), dtype=bool)
        if not self.left or not len(wanted):
            return got
        first = np.searchsorted(self._values, wanted)
        hits = np.flatnonzero(self._values[np.minimum(first, len(self._values) - 1)] == wanted)
        # Most digests are asked for once: those are done in one go, repeated ones by hand.
        once = hits[np.unique(first[hits], return_index=True)[1]]
        fresh = once[~self._taken[first[once]]]
        self._taken[first[fresh]] = True
        got[fresh] = True
        for i in np.setdiff1d(hits, fresh, assume_unique=True):
            place = first[i]
            while place < len(self._values) and self._values[place] == wanted[i]:
                if not self._taken[place]:
                    self._taken[place] = True
                    got[i] = True
                    break
                place += 1
        self.left -= int(got.sum())
        return got

    def surplus(self, chunks: Iterable[bytes]) -> bytes:
        """Give the digests that come more often in `chunks` than are left here, but not those that nobody has here."""
        values, own = np.unique(self._values[~self._taken], return_counts=True)
        if not len(values):
            return b""
        seen = np.zeros(len(values), dtype="i8")
        for chunk in chunks:
            others = np.frombuffer(chunk, dtype="<u8")
            places = np.minimum(np.searchsorted(values, others), len(values) - 1)
            np.add.at(seen, places[values[places] == others], 1)
        more: bytes = values[seen > own].tobytes()
        return more

    def rest(self) -> list[bytes]:
        """List the digests that nobody has taken out."""
        return [digest.tobytes() for digest in self._values[~self._taken]]

    def put_back(self, digests: bytes) -> None:
        """Put digests in again that were taken out."""
        for digest in np.frombuffer(digests, dtype="<u8"):
            place = int(np.searchsorted(self._values, digest))
            while place < len(self._values) and self._values[place] == digest:
                if self._taken[place]:
                    self._taken[place] = False
                    self.left += 1
                    break
                place += 1
