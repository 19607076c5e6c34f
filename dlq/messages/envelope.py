"""What could be read out of the bytes of a message."""

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from dlq.fields import Json
from dlq.messages.detection import (
    Plan,
    Sources,
    as_count,
    as_error,
    as_exact_name,
    as_inexact,
    as_moment,
    as_name,
    as_whole_text,
    first,
    make_plan,
    split_error,
)
from dlq.messages.exact import ExactNumber, exact_loads

if TYPE_CHECKING:
    from dlq.config.settings import FieldConfig
    from dlq.messages.schemas import SchemaCheck

EMPTY: Final = "empty"
NOT_UTF8: Final = "not UTF-8"
INVALID_JSON: Final = "invalid JSON"
TOO_DEEP: Final = "too deeply nested"
NOT_AN_OBJECT: Final = "not an object"
NO_TYPE: Final = "no type"
SCHEMA_PREFIX: Final = "schema: "

_DEEPEST: Final = 1_024  # orjson's own limit
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)
_HUGE_NUMBER = re.compile(rb"(?<![0-9])[0-9]{300}|[0-9][eE]\+?[0-9]{3}")
SHAPES: Final = 1_024  # plans kept; a queue has a few shapes, a stranger's queue may have one a message
KEYS_OF_A_SHAPE: Final = 64
_CLASSES: Final = 1_024  # error classes remembered for the quick look
_new = tuple.__new__
_loads = orjson.loads


class Envelope(NamedTuple):
    """A message and what was read out of it.

    `body` is for looking at; `raw` is what moves. `failed_at` counts epoch seconds. `corruption` says why a
    message cannot be processed by anybody, or is None; `type` is "" where it could not be read.
    """

    raw: bytes
    body: dict[str, Json] | None
    type: str
    error_class: str
    error: str
    attempts: int | None
    failed_at: float | None
    id: str | None
    corruption: str | None


class EnvelopeReader:
    """Reads any bytes into an envelope, the same way each time and without an exception."""

    def __init__(self, fields: "FieldConfig", schema: dict[str, Json] | None = None) -> None:
        """Take where the fields lie, and the JSON Schema of healthy messages; ConfigError if broken."""
        self.fields = fields
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._classes: set[str] = set()
        self._check: SchemaCheck | None = None
        if schema is not None:
            from dlq.messages import schemas  # noqa: PLC0415 - an import of 60 ms that most queues do not need

            self._check = schemas.SchemaCheck(schema)

    @property
    def checks_schema(self) -> bool:
        """Whether healthy messages must fit a JSON Schema."""
        return self._check is not None

    def read(self, raw: bytes) -> Envelope:
        """Read one message."""
        try:
            body = _loads(raw)
        except orjson.JSONDecodeError:
            body = _salvage(raw)
            if isinstance(body, str):
                return _corrupted(raw, body)
        if body.__class__ is not dict:
            return _corrupted(raw, NOT_AN_OBJECT)
        return self.read_body(raw, body)

    def plan(self, body: dict[str, Json]) -> Plan:
        """Give the plan for the shape of a body; the plans of the usual shapes are kept."""
        keys = tuple(body)
        plan = self._plans.get(keys)
        if plan is None:
            plan = make_plan(self.fields, keys)
            if len(keys) <= KEYS_OF_A_SHAPE and sum(map(len, keys)) <= KEYS_OF_A_SHAPE**2:
                if len(self._plans) >= SHAPES:
                    self._plans.clear()
                self._plans[keys] = plan
        return plan

    def read_body(self, raw: bytes, body: dict[str, Json]) -> Envelope:
        """Read the fields out of a body that was parsed before."""
        # This runs once a message: the quick looks below give what `first` would, without its calls.
        try:
            plan = self._plans[tuple(body)]
        except KeyError:
            plan = self.plan(body)
        (
            type_key,
            error_key,
            _,
            attempts_key,
            moment_key,
            id_key,
            types,
            errors,
            classes,
            attempts,
            moments,
            ids,
        ) = plan
        kind = body[type_key] if type_key is not None else None
        if kind.__class__ is not str or not kind:
            kind = first(body, types, as_name) or ""
        error = body[error_key] if error_key is not None else None
        if classes or error.__class__ is not str or not error:
            name, text = _error(body, errors, classes)
        else:
            name, colon, text = error.partition(": ")
            if not colon or name not in self._classes:
                name, text = self._split(error)
            elif text[:1].isspace():
                text = text.lstrip()
        tries = body[attempts_key] if attempts_key is not None else None
        if tries.__class__ is not int:
            tries = first(body, attempts, as_count)
        ident = body[id_key] if id_key is not None else None
        if ident.__class__ is not str or not ident:
            ident = _id(raw, body, ids)
        moment = as_moment(body[moment_key]) if moment_key is not None else None
        if moment is None:
            moment = first(body, moments, as_moment)
        corruption = None if kind else NO_TYPE
        if kind and self._check is not None:
            corruption = _schema_failure(self._check, body)
        return _new(Envelope, (raw, body, kind, name, text, tries, moment, ident, corruption))

    def _split(self, error: str) -> tuple[str, str]:
        """Split an error text, and remember its class for the quick look."""
        name, text = split_error(error)
        if name and len(self._classes) < _CLASSES and error.startswith(name + ": "):
            self._classes.add(name)
        return name, text


def _schema_failure(check: "SchemaCheck", body: dict[str, Json]) -> str | None:
    """Say how a body fails the schema, or None."""
    try:
        reason = check.reason(body)
    except RecursionError:
        return TOO_DEEP
    return SCHEMA_PREFIX + reason if reason else None


def _error(body: dict[str, Json], errors: Sources, classes: Sources) -> tuple[str, str]:
    """Read (class, text) where the error is not one plain text, or the class has a field of its own."""
    named = first(body, classes, as_name)
    if named is None:
        return first(body, errors, as_error) or ("", "")
    return named, first(body, errors, as_whole_text) or ""


def _id(raw: bytes, body: dict[str, Json], ids: Sources) -> str | None:
    """Read the id; one that is a float to orjson (integers beyond 64 bits are) by its text in the message."""
    ident = first(body, ids, as_name)
    inexact = first(body, ids, as_inexact)
    if inexact is None:
        return ident
    try:
        exact = exact_loads(raw)
    except (ValueError, RecursionError):
        return ident or repr(inexact)
    return first(exact, ids, as_exact_name)


def _corrupted(raw: bytes, reason: str) -> Envelope:
    return _new(Envelope, (raw, None, "", "", "", None, None, None, reason))


def _salvage(raw: bytes) -> Json:
    """Give why orjson refused the bytes, or the body where only a number was too large for a float."""
    if not raw.strip(b" \t\r\n"):
        return EMPTY
    try:
        raw.decode()
    except UnicodeDecodeError:
        return NOT_UTF8
    if _too_deep(raw):
        return TOO_DEEP
    if _HUGE_NUMBER.search(raw):
        return _with_huge_numbers(raw)
    return INVALID_JSON


def _with_huge_numbers(raw: bytes) -> Json:
    """Read JSON with numbers of more than 308 digits; they become infinite in the body."""
    try:
        body = _floats(exact_loads(raw))
        orjson.dumps(body)  # refuses lone surrogates, which json lets pass
    except RecursionError:
        return TOO_DEEP
    except (ValueError, TypeError):
        return INVALID_JSON
    return NOT_AN_OBJECT if isinstance(body, str) else body


def _floats(value: Json) -> Json:
    """Turn exact numbers into floats, all the way down."""
    if isinstance(value, ExactNumber):
        return float(value.text)
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    return [_floats(item) for item in value] if isinstance(value, list) else value


def _too_deep(raw: bytes) -> bool:
    """Count the open brackets outside of strings; True as soon as there are more than orjson reads."""
    if raw.count(b"[") + raw.count(b"{") <= _DEEPEST:
        return False
    depth = 0
    for found in _BRACKETS.finditer(raw):
        if found[1]:
            depth += 1
            if depth > _DEEPEST:
                return True
        elif found[2]:
            depth -= 1
    return False
