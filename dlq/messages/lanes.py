"""Messages of one shape, read column by column: what makes the bulk ways fast.

A loop of Python over messages costs more than parsing them. So a slice of a chunk is taken apart by calls that each
run over all of it in C: parse, pick the fields, join and reduce the error texts, look the codes up.
"""

from __future__ import annotations

import re
import secrets
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from dlq.messages.blanking import CONSIDERED, LONGEST, ZEROES, reduce, shorten
from dlq.messages.detection import TRACEBACK, Plan
from dlq.messages.envelope import KEYS_OF_A_SHAPE, SHAPES, EnvelopeReader
from dlq.messages.kinds import Kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dlq.fields import Json
    from dlq.messages.kinds import Kinds
from dlq.messages.envelope import Envelope

SLICE: Final = 100  # messages whose parsed bodies stay in the processor's cache, and whose columns are worth the calls
_CACHED: Final = 8_192
_LONGEST_KEY: Final = 1_024
_DIGIT = re.compile("[0-9]")
_BETWEEN: Final = "\0"
_NO_FIELD: Final[Any] = ...  # in place of a value where the shape has no such field: not even null is equal to it
_NO_FIELDS: Final = (_NO_FIELD,) * SLICE
_FENCE: Final = secrets.token_hex(8)
_JOINT: Final = b',"%s",' % _FENCE.encode()
_FENCES: Final = [_FENCE] * (SLICE - 1)
_loads = orjson.loads
Key = tuple[Any, Any, Any]
"""What decides a code: type, class where it has a field of its own, the error text with all digits the same."""


ShortKey = tuple[str, Any, Any, bytes]
"""The same for texts that differ by more than digits: type, class field, class in the text, shortened text."""


class Lane(NamedTuple):
    """Where the fields of one shape stand among its keys; None where the shape has no such field.

    `counted` says that time of failure and attempts, too, are each read from one key or absent.
    """

    values: Callable[[dict[str, Json]], tuple[Json, ...]]
    size: int
    kind: int
    error: int | None
    name: int | None
    ident: int | None
    moment: int | None
    attempts: int | None
    counted: bool


class Group(NamedTuple):
    """Messages of one slice with one shape, in step: their places in the slice, bodies, columns and codes.

    A code is None where the message has to be read by its envelope.
    """

    places: Sequence[int]
    bodies: Sequence[dict[str, Json]]
    lane: Lane
    columns: list[tuple[Any, ...]]
    codes: list[int | None]
    left_out: Sequence[int] = ()
    """Places of healthy messages of this shape whose type is not wanted."""


class Lanes:
    """Sorts slices into groups, and knows the codes of what was met before; all its tables are bounded."""

    def __init__(self, reader: EnvelopeReader) -> None:
        """Take the reader whose results these lanes repeat."""
        self._reader = reader
        self._lanes: dict[tuple[str, ...], Lane | None] = {}
        self._usual: Lane | None = None
        self._codes: dict[Key, int] = {}
        self._short: dict[ShortKey, int] = {}

    def groups(self, messages: Sequence[bytes], kinds: Kinds | None = None) -> list[Group]:
        """Sort up to SLICE messages; one that is in no group has to be read by its envelope.

        With `kinds`, healthy messages of other types are left out of a group, and the group says so.
        """
        if self._reader.checks_schema:
            return []
        bodies = parse(messages)
        usual = self._usual
        try:
            if usual is not None and set(map(len, bodies)) == {usual.size}:
                return [self._group(usual, range(len(bodies)), bodies, kinds)]
        except (KeyError, TypeError):  # as many keys, but others; no object
            pass
        return self._sorted(bodies, kinds)

    def learn(self, envelope: Envelope, code: int) -> None:
        """Remember the code of a message that was read by its envelope, under what decides it."""
        body = envelope.body
        if envelope.corruption is not None or body is None or self._reader.checks_schema:
            return
        lane = self._lane(tuple(body))
        if lane is None:
            return
        row = lane.values(body)
        kind, error, name = (
            row[place] if place is not None else _NO_FIELD for place in (lane.kind, lane.error, lane.name)
        )
        if not all(value is _NO_FIELD or (isinstance(value, str) and value) for value in (kind, error, name)):
            return  # the reader looks further
        # A class may hold digits, and those tell it from others: it must not be reduced with the rest of its text.
        if lane.name is not None or not _DIGIT.search(envelope.error_class):
            self._keep(self._codes, (kind, name, _reduced(error)), code)
        short = _short_key(kind, name, error)
        if short is not None:
            self._keep(self._short, short, code)

    def _sorted(self, bodies: list[Any], kinds: Kinds | None) -> list[Group]:
        """Group a slice whose messages differ in shape."""
        by_shape: dict[tuple[str, ...], list[int]] = {}
        for place, body in enumerate(bodies):
            if body.__class__ is dict:
                by_shape.setdefault(tuple(body), []).append(place)
        groups = []
        for keys, places in by_shape.items():
            lane = self._lane(keys)
            if lane is not None:
                groups.append(self._group(lane, places, [bodies[place] for place in places], kinds))
                self._usual = lane
        return groups

    def _group(
        self, lane: Lane, places: Sequence[int], bodies: Sequence[dict[str, Json]], kinds: Kinds | None
    ) -> Group:
        rows = list(map(lane.values, bodies))
        left_out: Sequence[int] = ()
        if kinds is not None:
            wanted = _wanted(lane, rows, kinds)
            if False in wanted:
                left_out = [place for place, yes in zip(places, wanted, strict=True) if yes is False]
                some = [yes is not False for yes in wanted]
                places, bodies = list(compress(places, some)), list(compress(bodies, some))
                rows = list(compress(rows, some))
        columns = list(zip(*rows, strict=True)) or [()] * lane.size
        return Group(places, bodies, lane, columns, self._look_up(lane, columns), left_out)

    def _look_up(self, lane: Lane, columns: list[tuple[Any, ...]]) -> list[int | None]:
        """Give the codes of a group, as far as they are known."""
        # No value is checked on the way: the keys of the tables are texts, and a text is equal to nothing else.
        kinds = columns[lane.kind]
        names = columns[lane.name] if lane.name is not None else _NO_FIELDS
        errors = columns[lane.error] if lane.error is not None else _NO_FIELDS
        if not kinds:
            return []
        try:
            if lane.error is None:
                codes = [self._codes.get(key) for key in zip(kinds, names, errors, strict=False)]
            else:
                reduced = _BETWEEN.join(errors).encode().translate(ZEROES).split(_BETWEEN.encode())
                if len(reduced) != len(errors):  # an error has the separator in it
                    reduced = list(map(_reduced, errors))
                codes = list(map(self._codes.get, zip(kinds, names, reduced, strict=False)))
        except TypeError:  # an error is no text, or a type or class is not hashable
            return [self._meet(*row) for row in zip(kinds, names, errors, strict=False)]
        if None in codes:
            rows = zip(codes, kinds, names, errors, strict=False)
            return [self._meet(*row) if code is None else code for code, *row in rows]
        return codes

    def _meet(self, kind: Json, name: Json, error: Json) -> int | None:
        """Give the code of a text that is known when what varies in it is taken out."""
        if not all(value is _NO_FIELD or isinstance(value, str) for value in (kind, name, error)):
            return None
        code = self._codes.get((kind, name, _reduced(error)))
        if code is not None:
            return code
        key = _short_key(kind, name, error)
        code = self._short.get(key) if key is not None else None
        if code is not None and key is not None and (name is not _NO_FIELD or not _DIGIT.search(key[2])):
            self._keep(self._codes, (kind, name, _reduced(error)), code)
        return code

    def _lane(self, keys: tuple[str, ...]) -> Lane | None:
        """Give the lane of a shape; None where the reader has to look at more than one key for a field."""
        try:
            return self._lanes[keys]
        except KeyError:
            pass
        if len(keys) > KEYS_OF_A_SHAPE:
            return None
        lane = lane_of(keys, self._reader.plan(dict.fromkeys(keys)))
        if len(self._lanes) < SHAPES:
            self._lanes[keys] = lane
        return lane

    @staticmethod
    def _keep(table: dict[Any, int], key: tuple[Any, ...], code: int) -> None:
        """Remember a code, unless its key is huge; a full table starts anew."""
        if sum(len(part) for part in key if part is not _NO_FIELD) <= _LONGEST_KEY:
            if len(table) >= _CACHED:
                table.clear()
            table[key] = code


def lane_of(keys: tuple[str, ...], plan: Plan) -> Lane | None:
    """Give the lane of a shape, if one key a field is where the reader looks first."""
    quick = (plan.error_key, plan.class_key, plan.id_key)
    sources = (plan.errors, plan.classes, plan.ids)
    if plan.type_key is None or any(some and key is None for some, key in zip(sources, quick, strict=True)):
        return None
    places = {key: place for place, key in enumerate(keys)}
    counted = all(
        (some == ()) == (key is None)
        for some, key in ((plan.moments, plan.moment_key), (plan.attempts, plan.attempts_key))
    )
    error, name, ident, moment, attempts = (
        None if key is None else places[key] for key in (*quick, plan.moment_key, plan.attempts_key)
    )
    values = itemgetter(*keys) if len(keys) > 1 else _single(keys[0])
    return Lane(values, len(keys), places[plan.type_key], error, name, ident, moment, attempts, counted)


def _wanted(lane: Lane, rows: Sequence[tuple[Json, ...]], kinds: Kinds) -> list[bool | None]:
    """Say of each message of a lane whether its type is wanted; None where the reader has to look."""
    try:
        return list(map(kinds.__getitem__, map(itemgetter(lane.kind), rows)))
    except TypeError:  # an object or an array
        return [None] * len(rows)


def _single(key: str) -> Callable[[dict[str, Json]], tuple[Json, ...]]:
    """Pick one key as a row, which itemgetter does for two and more only."""
    return lambda body: (body[key],)


def _short_key(kind: Any, name: Any, error: Any) -> ShortKey | None:
    """Give type, class field, class in the text, and the text without ids and quoted parts; None if that is too little.

    The class in a text stands before its first colon. It may hold digits, which the reduction loses, so it stays
    whole; what holds a blank is no class.
    """
    if error is _NO_FIELD or len(error) > CONSIDERED or error.startswith(TRACEBACK):
        return None
    head = ""
    if name is _NO_FIELD:
        head, _, rest = error.partition(":")
        if rest.startswith(":"):
            return None
        head = "" if " " in head else head
    if len(kind) > LONGEST or len(head) > LONGEST or (name is not _NO_FIELD and len(name) > LONGEST):
        return None
    return kind, name, head, shorten(reduce(error))


def _reduced(error: Any) -> Any:
    """Make all digits of a text the same digit."""
    return error if error is _NO_FIELD else error.encode().translate(ZEROES)


def parse(messages: Sequence[bytes]) -> list[Any]:
    """Parse a slice; None stands for what is no JSON.

    One call for all is a tenth faster than one each. No message can know the fence between them, so if there are as
    many at the top of the array as were put in, then each message is one value, complete by itself.
    """
    try:
        values: list[Any] = _loads(b"[%s]" % _JOINT.join(messages))
    except orjson.JSONDecodeError:
        return list(map(_parsed, messages))
    if len(values) == 2 * len(messages) - 1 and values[1::2] == _FENCES[: len(messages) - 1]:
        return values[::2]
    return list(map(_parsed, messages))


def _parsed(raw: bytes) -> Any:
    """Parse a message; None for what is no JSON."""
    try:
        return _loads(raw)
    except orjson.JSONDecodeError:
        return None
