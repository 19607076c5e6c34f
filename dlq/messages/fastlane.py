"""The bulk way through a chunk: what a sift needs of each message, without an envelope for each."""

from collections.abc import Callable, Iterable
from itertools import compress
from typing import Final, NamedTuple

import xxhash

from dlq.messages.envelope import EnvelopeReader
from dlq.messages.identity import Identifier
from dlq.messages.kinds import Kinds
from dlq.messages.lanes import SLICE, Group, Lanes
from dlq.messages.signatures import SignatureBook

UNREAD: Final = -1  # in place of a code, of a message that nothing is to be done with
_TEXTS: Final = {str}
_digest = xxhash.xxh3_64_digest


class Entries(NamedTuple):
    """What was read of a chunk, in step with its messages; fingerprints and identities have 8 bytes."""

    corrupted: list[bool]
    codes: list[int]
    fingerprints: list[bytes]
    identities: list[bytes]

    def only(self, chosen: list[bool]) -> "Entries":
        """Leave the others out."""
        corrupted, codes, fingerprints, identities = self
        return Entries(
            list(compress(corrupted, chosen)),
            list(compress(codes, chosen)),
            list(compress(fingerprints, chosen)),
            list(compress(identities, chosen)),
        )


class Fastlane:
    """Reads chunks; equal in every result to reader, book and identifier asked one message at a time."""

    def __init__(self, reader: EnvelopeReader, identifier: Identifier, book: SignatureBook) -> None:
        """Take the three that decide; all three must be of the same queue."""
        self._reader = reader
        self._identifier = identifier
        self._book = book
        self._lanes = Lanes(reader)

    def entries(
        self,
        messages: list[bytes],
        unwanted: Callable[[int], bool] | None = None,
        kinds: Kinds | None = None,
    ) -> Entries:
        """Read the messages of a chunk in order.

        Healthy messages of a code that is `unwanted` get neither fingerprint nor identity: both are empty. Those of a
        type that `kinds` does not want need not even get a code: it may be UNREAD. Two thirds of the work beside the
        parsing is in these three, and of most selections most messages are not part.
        """
        entries = Entries([], [], [], [])
        for start in range(0, len(messages), SLICE):
            self._read(messages[start : start + SLICE], unwanted, kinds, entries)
        return entries

    def _read(
        self, messages: list[bytes], unwanted: Callable[[int], bool] | None, kinds: Kinds | None, entries: Entries
    ) -> None:
        """Read a slice, and add it to the entries."""
        groups = self._lanes.groups(messages, kinds)
        wanted = _wanted(groups, unwanted)
        corrupted = [False] * len(messages)
        if len(groups) == 1 and len(groups[0].places) == len(messages):
            codes: list[int | None] = groups[0].codes
            prints, identities = self._digests(groups[0], messages, wanted)
        else:
            codes = [None] * len(messages)
            prints, identities = [b""] * len(messages), [b""] * len(messages)
            for group in groups:
                for place in group.left_out:
                    codes[place] = UNREAD
                digests = self._digests(group, [messages[place] for place in group.places], wanted)
                for place, code, digest, identity in zip(group.places, group.codes, *digests, strict=True):
                    codes[place], prints[place], identities[place] = code, digest, identity
        if None in codes:
            for at, raw in enumerate(messages):
                if codes[at] is None:
                    corrupted[at], codes[at], identities[at] = self._slow(raw)
                    prints[at] = _digest(raw)
        entries.corrupted.extend(corrupted)
        entries.codes.extend(codes)  # type: ignore[arg-type]  # none is None by now
        entries.fingerprints.extend(prints)
        entries.identities.extend(identities)

    def _digests(
        self, group: Group, messages: list[bytes], wanted: set[int | None] | None
    ) -> tuple[list[bytes], list[bytes]]:
        """Give the fingerprints and identities of a group."""
        if wanted is None:
            return list(map(_digest, messages)), self._identities(group, messages, None)
        if wanted.isdisjoint(group.codes):
            return [b""] * len(messages), [b""] * len(messages)
        prints = [_digest(raw) if code in wanted else b"" for raw, code in zip(messages, group.codes, strict=True)]
        return prints, self._identities(group, messages, wanted)

    def _identities(self, group: Group, messages: list[bytes], wanted: set[int | None] | None) -> list[bytes]:
        """Give the identities of a group; those without a code mean nothing."""
        kinds, codes = group.columns[group.lane.kind], group.codes
        if group.lane.ident is None:
            return list(map(self._identifier.payload, messages, group.bodies))
        idents = group.columns[group.lane.ident]
        if set(map(type, idents)) == _TEXTS and "" not in idents:
            if wanted is None:
                return [_digest(f"{kind}\0{ident}".encode()) for kind, ident in zip(kinds, idents, strict=True)]
            return [
                _digest(f"{kind}\0{ident}".encode()) if code in wanted else b""
                for kind, ident, code in zip(kinds, idents, codes, strict=True)
            ]
        read, identity = self._reader.read_body, self._identifier.identity
        return [identity(read(raw, body)) for raw, body in zip(messages, group.bodies, strict=True)]

    def _slow(self, raw: bytes) -> tuple[bool, int, bytes]:
        """Read one message by its envelope, and learn from it for the next of its kind."""
        envelope = self._reader.read(raw)
        code = self._book.code(envelope)
        self._lanes.learn(envelope, code)
        return envelope.corruption is not None, code, self._identifier.identity(envelope)


def _wanted(groups: Iterable[Group], unwanted: Callable[[int], bool] | None) -> set[int | None] | None:
    """Give the codes that are wanted, None among them; None if all are."""
    if unwanted is None:
        return None
    codes = set[int | None]().union(*(group.codes for group in groups))
    wanted = {code for code in codes if code is None or not unwanted(code)}
    return None if len(wanted) == len(codes) else wanted
