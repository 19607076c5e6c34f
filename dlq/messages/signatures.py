"""The failure type of a message, and short codes for the failure types of a queue."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import xxhash

from dlq.errors import LedgerError
from dlq.messages.blanking import CONSIDERED, LONGEST, ZEROES, blank, blank_short, reduce, shorten
from dlq.messages.envelope import Envelope

__all__ = ["CORRUPTED", "OTHERS", "OTHERS_CODE", "Signature", "SignatureBook", "blank", "signature_of"]

CORRUPTED: Final = "corrupted"
OTHERS_CODE: Final = 0
_LAST_CODE: Final = 65_535
_CACHED: Final = 8_192


class Signature(NamedTuple):
    """A message's type, error class and blanked error text."""

    type: str
    error_class: str
    text: str

    @property
    def key(self) -> str:
        """Give 8 hex characters that stand for the signature, in every process and run."""
        return xxhash.xxh3_64_hexdigest("\x1f".join(self).encode("utf-8", "surrogatepass"))[:8]

    def __str__(self) -> str:
        """Write like `webhook · TimeoutError: payment-gateway timed out after # ms`."""
        reason = ": ".join(filter(None, (self.error_class, self.text)))
        return f"{self.type or '(no type)'} · {reason or '(no error text)'}"


OTHERS: Final = Signature("others", "", "signatures beyond the first 65,535")


def signature_of(envelope: Envelope) -> Signature:
    """Work out the signature of a message; for a corrupted one the reason takes the place of the error."""
    if envelope.corruption is not None:
        return _signature(envelope.type, CORRUPTED, shorten(reduce(envelope.corruption)))
    return _signature(envelope.type, envelope.error_class, shorten(reduce(envelope.error)))


def _signature(kind: str, error_class: str, short: bytes) -> Signature:
    """Put a signature together; of a text with several lines the first one counts."""
    line = short.strip().partition(b"\n")[0]
    return Signature(kind[:LONGEST], error_class[:LONGEST], blank_short(line))


class SignatureBook:
    """Gives each signature a small number, in the order in which they are first met."""

    def __init__(self) -> None:
        """Begin with an empty book."""
        self._codes: dict[Signature, int] = {}
        self._signatures: dict[int, Signature] = {}
        self._keys: dict[int, str] = {}
        self._new: list[tuple[int, Signature]] = []
        self._next = 1
        self._cache: dict[tuple[str, str, bytes], int] = {}

    def code(self, envelope: Envelope) -> int:
        """Give the code of the message's signature: 1 to 65,535, or 0 (others) once the book is full."""
        _, _, kind, error_class, error, _, _, _, corruption = envelope
        if corruption is not None:
            error_class, error = CORRUPTED, corruption
        key = (kind, error_class, error[:CONSIDERED].encode().translate(ZEROES))  # as `reduce` does
        return self._cache.get(key) or self._miss(key)

    def signature(self, code: int) -> Signature:
        """Give the signature of a code; OTHERS for 0. LedgerError for a code that was never given."""
        if code == OTHERS_CODE:
            return OTHERS
        try:
            return self._signatures[code]
        except KeyError as exc:
            raise LedgerError("The ledger names a signature that it does not hold", code=code) from exc

    def key(self, code: int) -> str:
        """Give the key of a code's signature; worked out once."""
        key = self._keys.get(code)
        if key is None:
            key = self._keys[code] = self.signature(code).key
        return key

    def signatures(self) -> dict[int, Signature]:
        """Give all signatures by code."""
        return dict(self._signatures)

    def drain_new(self) -> list[tuple[int, Signature]]:
        """Hand out the signatures that came since the last call."""
        new, self._new = self._new, []
        return new

    def load(self, mapping: Mapping[int, Iterable[str]]) -> None:
        """Go on with the codes of a ledger; LedgerError when they contradict the codes given so far."""
        for code, parts in mapping.items():
            signature = Signature(*parts)
            if self._signatures.get(code, signature) != signature or self._codes.get(signature, code) != code:
                raise LedgerError("Two signatures have the same code", code=code)
            self._codes[signature] = code
            self._signatures[code] = signature
            self._next = max(self._next, code + 1)
        self._new = [(code, signature) for code, signature in self._new if code not in mapping]

    def _miss(self, key: tuple[str, str, bytes]) -> int:
        """Work out the code that the cache does not hold as the text is reduced.

        Texts with an id in them are each their own, but short they are alike: only the short text is cached.
        """
        key = (key[0], key[1], shorten(key[2]))
        code = self._cache.get(key)
        if code is None:
            signature = _signature(*key)
            code = self._codes.get(signature, OTHERS_CODE) or self._add(signature)
            if len(key[0]) <= LONGEST and len(key[1]) <= LONGEST:
                if len(self._cache) >= _CACHED:
                    self._cache.clear()
                self._cache[key] = code
        return code

    def _add(self, signature: Signature) -> int:
        """Give the next code, or 0 when there is none left."""
        code = self._next
        if code > _LAST_CODE:
            return OTHERS_CODE
        self._next = code + 1
        self._codes[signature] = code
        self._signatures[code] = signature
        self._new.append((code, signature))
        return code
