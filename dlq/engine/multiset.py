"""A compact multiset of 8-byte digests: a million of them in about 12 MB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


class DigestSet:
    """Counts how often each digest was put in, and gives each out at most that often.

    Equal digests cost no more than different ones: a queue may hold the same message a hundred thousand times.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Take in digests, as chunks of concatenated 8-byte pieces."""
        pieces = bytearray()
        for chunk in chunks:
            pieces += chunk
        values = np.frombuffer(pieces, dtype="<u8")  # the bytes themselves, not a copy of them
        values.sort()
        self._values = values
        self._taken = np.zeros(len(values), dtype="u4")  # how many are out, where the first of equals is
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
        first = first[hits]
        order = np.argsort(first, kind="stable")
        _, begins, sizes = np.unique(first[order], return_index=True, return_counts=True)
        rank = np.empty(len(hits), dtype="i8")  # the how-manieth of its equals each one is
        rank[order] = np.arange(len(hits)) - np.repeat(begins, sizes)
        there = np.searchsorted(self._values, wanted[hits], side="right") - first
        had = rank < there - self._taken[first]
        np.add.at(self._taken, first[had], 1)
        got[hits[had]] = True
        self.left -= int(had.sum())
        return got

    def surplus(self, chunks: Iterable[bytes]) -> bytes:
        """Give the digests that come more often in `chunks` than are left here, but not those that nobody has here."""
        values, own = self._counts()
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
        return [digest.tobytes() for digest in np.repeat(*self._counts())]

    def put_back(self, digests: bytes) -> None:
        """Put digests in again that were taken out."""
        for digest in np.frombuffer(digests, dtype="<u8"):
            place = int(np.searchsorted(self._values, digest))
            if place < len(self._values) and self._values[place] == digest and self._taken[place]:
                self._taken[place] -= 1
                self.left += 1

    def _counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Give each digest that is left, and how many of it are."""
        values, first, counts = np.unique(self._values, return_index=True, return_counts=True)
        own = counts - self._taken[first]
        return values[own > 0], own[own > 0]
