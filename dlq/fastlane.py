"""The bulk way through a chunk: what a sift needs of each message, without an envelope for each."""

from typing import Final, NamedTuple

import orjson
import xxhash

from dlq.blanking import CONSIDERED, LONGEST, ZEROES, reduce, shorten
from dlq.detection import TRACEBACK, Plan
from dlq.envelope import KEYS_OF_A_SHAPE, SHAPES, EnvelopeReader
from dlq.fields import Json
from dlq.identity import Identifier
from dlq.signatures import SignatureBook

_CACHED: Final = 8_192
Key = tuple[str, str, bytes, bool, bool]
_loads = orjson.loads
_digest = xxhash.xxh3_64_digest


class Entries(NamedTuple):
    """What was read of a chunk, in step with its messages; fingerprints and identities have 8 bytes."""

    corrupted: list[bool]
    codes: list[int]
    fingerprints: list[bytes]
    identities: list[bytes]


class Lane(NamedTuple):
    """The keys to look at in messages of one shape; None where the shape has no such field."""

    type_key: str
    error_key: str | None
    class_key: str | None
    id_key: str | None


class Fastlane:
    """Reads chunks; equal in every result to reader, book and identifier asked one message at a time."""

    def __init__(self, reader: EnvelopeReader, identifier: Identifier, book: SignatureBook) -> None:
        """Take the three that decide; all three must be of the same queue."""
        self._reader = reader
        self._identifier = identifier
        self._book = book
        self._lanes: dict[tuple[str, ...], Lane] = {}
        self._codes: dict[Key, int] = {}

    def entries(self, messages: list[bytes]) -> Entries:
        """Read the messages of a chunk in order."""
        corrupted = [False] * len(messages)
        codes: list[int] = []
        identities: list[bytes] = []
        lanes, known, payload = self._lanes, self._codes, self._identifier.payload
        for at, raw in enumerate(messages):
            try:
                # No value is checked on the way to the cache: its keys were checked when they came in
                # (see key_of), and a text is equal to nothing but a text.
                body = _loads(raw)
                type_key, error_key, class_key, id_key = lanes[tuple(body)]
                error = body[error_key] if error_key is not None else ""
                if class_key is None:
                    name, classed = error.partition(":")[0], False
                    if " " in name:
                        name = ""
                else:
                    name, classed = body[class_key], True
                reduced = error.encode().translate(ZEROES)
                code = known.get((body[type_key], name, reduced, classed, error_key is None))
                if code is None:
                    code = known[body[type_key], name, shorten(reduced), classed, error_key is None]
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                # Not JSON, not an object, an error or a shape not met before, a field of another type.
                corrupted[at], code, identity = self._slow(raw)
            else:
                ident = body[id_key] if id_key is not None else None
                if ident.__class__ is str and ident:
                    identity = _digest(f"{body[type_key]}\0{ident}".encode())
                elif id_key is None:
                    identity = payload(raw, body)
                else:
                    identity = self._identifier.identity(self._reader.read_body(raw, body))
            codes.append(code)
            identities.append(identity)
        return Entries(corrupted, codes, list(map(_digest, messages)), identities)

    def _slow(self, raw: bytes) -> tuple[bool, int, bytes]:
        """Read one message by its envelope, and learn from it for the next of its kind."""
        envelope = self._reader.read(raw)
        code = self._book.code(envelope)
        if envelope.corruption is None and envelope.body is not None and not self._reader.checks_schema:
            self._learn(envelope.body, code)
        return envelope.corruption is not None, code, self._identifier.identity(envelope)

    def _learn(self, body: dict[str, Json], code: int) -> None:
        """Remember the lane of the shape, and the code under what decides it."""
        keys = tuple(body)
        lane = self._lanes.get(keys) or lane_of(self._reader.plan(body))
        if lane is None or len(keys) > KEYS_OF_A_SHAPE:
            return
        if len(self._lanes) < SHAPES:
            self._lanes[keys] = lane
        key = key_of(body, lane)
        if key is not None:
            if len(self._codes) >= _CACHED:
                self._codes.clear()
            self._codes[key] = code


def lane_of(plan: Plan) -> Lane | None:
    """Give the lane of a shape, if one key a field is where the reader looks first."""
    quick = (plan.error_key, plan.class_key, plan.id_key)
    sources = (plan.errors, plan.classes, plan.ids)
    if plan.type_key is None or any(some and key is None for some, key in zip(sources, quick, strict=True)):
        return None
    return Lane(plan.type_key, *quick)


def key_of(body: dict[str, Json], lane: Lane) -> Key | None:
    """Give what decides the code of a message, if its fields are plain texts; else None.

    The class, where it has no field of its own, stands before the first colon of the error. It may hold
    digits, which the reduction loses, so it stays whole; what holds a blank is no class.
    """
    kind, error = body[lane.type_key], body[lane.error_key] if lane.error_key is not None else ""
    if not isinstance(kind, str) or not isinstance(error, str) or len(error) > CONSIDERED:
        return None
    if not kind or (not error and lane.error_key is not None) or error.startswith(TRACEBACK):
        return None
    if lane.class_key is None:
        name, _, rest = error.partition(":")
        if rest.startswith(":"):
            return None
        name = "" if " " in name else name
    else:
        name = body[lane.class_key]
        if not isinstance(name, str) or not name:
            return None
    if len(kind) > LONGEST or len(name) > LONGEST:
        return None
    return kind, name, shorten(reduce(error)), lane.class_key is not None, lane.error_key is None
