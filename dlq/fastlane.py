"""The bulk way through a chunk: what a sift needs of each message, without an envelope for each."""

from typing import Final, NamedTuple

import xxhash

from dlq.envelope import EnvelopeReader
from dlq.identity import Identifier
from dlq.lanes import SLICE, Group, Lanes
from dlq.signatures import SignatureBook

_TEXTS: Final = {str}
_digest = xxhash.xxh3_64_digest


class Entries(NamedTuple):
    """What was read of a chunk, in step with its messages; fingerprints and identities have 8 bytes."""

    corrupted: list[bool]
    codes: list[int]
    fingerprints: list[bytes]
    identities: list[bytes]


class Fastlane:
    """Reads chunks; equal in every result to reader, book and identifier asked one message at a time."""

    def __init__(self, reader: EnvelopeReader, identifier: Identifier, book: SignatureBook) -> None:
        """Take the three that decide; all three must be of the same queue."""
        self._reader = reader
        self._identifier = identifier
        self._book = book
        self._lanes = Lanes(reader)

    def entries(self, messages: list[bytes]) -> Entries:
        """Read the messages of a chunk in order."""
        corrupted = [False] * len(messages)
        codes: list[int] = []
        identities: list[bytes] = []
        for start in range(0, len(messages), SLICE):
            piece = messages[start : start + SLICE]
            found, idents = self._read(piece)
            if None in found:
                for at, code in enumerate(found):
                    if code is None:
                        corrupted[start + at], found[at], idents[at] = self._slow(piece[at])
            codes += found  # type: ignore[arg-type]
            identities += idents
        return Entries(corrupted, codes, list(map(_digest, messages)), identities)

    def _read(self, messages: list[bytes]) -> tuple[list[int | None], list[bytes]]:
        """Give codes and identities of a slice; a code is None where nobody knows it yet."""
        codes: list[int | None] = [None] * len(messages)
        identities = [b""] * len(messages)
        for group in self._lanes.groups(messages):
            if len(group.places) == len(messages):
                return group.codes, self._identities(group, messages)
            idents = self._identities(group, [messages[place] for place in group.places])
            for place, code, identity in zip(group.places, group.codes, idents, strict=True):
                codes[place], identities[place] = code, identity
        return codes, identities

    def _identities(self, group: Group, messages: list[bytes]) -> list[bytes]:
        """Give the identities of a group; those without a code mean nothing."""
        kinds = group.columns[group.lane.kind]
        if group.lane.ident is None:
            return list(map(self._identifier.payload, messages, group.bodies))
        idents = group.columns[group.lane.ident]
        if set(map(type, idents)) == _TEXTS and "" not in idents:
            return [_digest(f"{kind}\0{ident}".encode()) for kind, ident in zip(kinds, idents, strict=True)]
        read, identity = self._reader.read_body, self._identifier.identity
        return [identity(read(raw, body)) for raw, body in zip(messages, group.bodies, strict=True)]

    def _slow(self, raw: bytes) -> tuple[bool, int, bytes]:
        """Read one message by its envelope, and learn from it for the next of its kind."""
        envelope = self._reader.read(raw)
        code = self._book.code(envelope)
        self._lanes.learn(envelope, code)
        return envelope.corruption is not None, code, self._identifier.identity(envelope)
