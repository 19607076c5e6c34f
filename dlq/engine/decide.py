"""What a drain, a quarantine or a discard does with each message."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING

from dlq.brokers.base import EDIT, KEEP, QUARANTINE, REDRIVE
from dlq.engine.sift import Verdict
from dlq.errors import EditError
from dlq.messages.fastlane import UNREAD
from dlq.messages.kinds import Kinds
from dlq.records.ledger import entry_prefix, fingerprint, pack_signature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlq.messages.edits import Edit
    from dlq.messages.fastlane import Entries
    from dlq.messages.reading import Reading
    from dlq.messages.selectors import Selector


@dataclass(slots=True)
class Choose:
    """Does one thing with every message that a selector takes, and keeps the rest.

    A drain also keeps the messages of signatures that it is told to skip, and puts poison (by identity) into the
    quarantine; an edit is meant to cure, so edited messages are redriven all the same. Messages go through the fast
    lane, and most selectors can be answered for a whole signature at once. An envelope is built only for a message
    whose content is asked about, or that is to be edited.
    """

    action: bytes
    selector: Selector
    edit: Edit
    reading: Reading
    poison: frozenset[bytes] = frozenset()
    _skipped: set[str] = field(init=False, default_factory=set)
    _prefixes: dict[int, bytes] = field(init=False, default_factory=dict)
    _answers: dict[tuple[int, bool], bool | None] = field(init=False, default_factory=dict)
    _kinds: Kinds | None = field(init=False)

    def __post_init__(self) -> None:
        """Have messages of types that are not asked for passed over."""
        self._kinds = Kinds(self.selector.types) if self.selector.types else None

    def __call__(self, messages: list[bytes]) -> Verdict:
        """Decide on a chunk, oldest message first."""
        if self.edit:
            return self._edited(messages)
        scan = self.reading.lane.entries(messages, self._never, self._kinds)
        chosen = self._chosen(messages, scan)
        if True not in chosen:
            return Verdict(KEEP, [], [], scan.codes)
        ill = self.action == REDRIVE and bool(self.poison) and not self.poison.isdisjoint(scan.identities)
        if False not in chosen and not ill:
            return Verdict(self.action, self._rows(scan, self.action), [], scan.codes)
        actions = bytes(map({True: self.action[0], False: KEEP[0]}.__getitem__, chosen))
        if ill:
            actions, rows = self._put_aside(scan, actions, self._rows(scan, self.action))
            return Verdict(actions, list(compress(rows, chosen)), [], scan.codes)
        return Verdict(actions, self._rows(scan.only(chosen), self.action), [], scan.codes)

    def skip(self, keys: Iterable[str]) -> None:
        """Keep the messages of these signatures from now on."""
        self._skipped |= set(keys)
        self._answers.clear()

    def _never(self, code: int) -> bool:
        """Say whether healthy messages of this signature are all kept."""
        return self._answer(code, corrupted=False) is False

    def _chosen(self, messages: list[bytes], scan: Entries) -> list[bool]:
        """Ask the selector about each message, by its signature where that is enough."""
        if True not in scan.corrupted:
            answers = {code: self._answer(code, corrupted=False) for code in set(scan.codes)}
            if None not in answers.values():
                return list(map(answers.__getitem__, scan.codes))  # type: ignore[arg-type]
        return [
            self._matches(raw, code) if (answer := self._answer(code, bad)) is None else answer
            for raw, code, bad in zip(messages, scan.codes, scan.corrupted, strict=True)
        ]

    def _put_aside(self, scan: Entries, actions: bytes, rows: list[bytes]) -> tuple[bytes, list[bytes]]:
        """Put the poison among what is to be redriven into the quarantine."""
        ill = [
            action == REDRIVE[0] and identity in self.poison
            for action, identity in zip(actions, scan.identities, strict=True)
        ]
        aside = self._rows(scan, QUARANTINE)
        mixed = [a if yes else b for a, b, yes in zip(aside, rows, ill, strict=True)]
        return bytes(QUARANTINE[0] if yes else action for action, yes in zip(actions, ill, strict=True)), mixed

    def take_back(self, verdict: Verdict) -> None:
        """Do nothing: these decisions use nothing up."""

    def new_signatures(self) -> list[tuple[int, str]]:
        """Return the signatures met since the last call."""
        return [(code, pack_signature(signature)) for code, signature in self.reading.book.drain_new()]

    def _rows(self, scan: Entries, action: bytes) -> list[bytes]:
        """Pack the ledger entries of a chunk as if all of it were selected."""
        prefixes = self._prefixes if action == self.action else {}
        for code in set(scan.codes) - prefixes.keys():
            prefixes[code] = entry_prefix(action, code)
        columns = zip(scan.codes, scan.fingerprints, scan.identities, strict=True)
        return [prefixes[code] + digest + identity for code, digest, identity in columns]

    def _answer(self, code: int, corrupted: bool) -> bool | None:  # noqa: FBT001 - half of a pair, not a switch
        """Ask the selector once a signature; None: it depends on the message."""
        if code == UNREAD:
            return False
        if (code, corrupted) not in self._answers:
            signature = self.reading.book.signature(code)
            skipped = bool(self._skipped) and self.reading.book.key(code) in self._skipped
            answer = self.selector.by_signature(signature, corrupted=corrupted)
            self._answers[code, corrupted] = False if skipped else answer
        return self._answers[code, corrupted]

    def _matches(self, raw: bytes, code: int) -> bool:
        return self.selector.matches(self.reading.reader.read(raw), self.reading.book.key(code))

    def _edited(self, messages: list[bytes]) -> Verdict:
        """Decide message by message; one that the edit does not apply to is kept."""
        reading = self.reading
        actions, entries, edited, codes = bytearray(), [], [], []
        refused = 0
        for raw in messages:
            envelope = reading.reader.read(raw)
            code = reading.book.code(envelope)
            codes.append(code)
            action = KEEP
            key = reading.book.key(code)
            if key not in self._skipped and self.selector.matches(envelope, key):
                try:
                    edited.append(self.edit.apply(envelope))
                    action = EDIT
                except EditError:
                    refused += 1
            actions += action
            if action == EDIT:
                identity = reading.identifier.identity(envelope)
                entries.append(entry_prefix(EDIT, code) + fingerprint(edited[-1]) + identity)
        return Verdict(bytes(actions), entries, edited, codes, refused)
