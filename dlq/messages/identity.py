"""What stays the same when a message fails again."""

from typing import TYPE_CHECKING, Final

import orjson
import xxhash

from dlq.fields import FieldPath, Json, Missing
from dlq.messages.blanking import ZEROES
from dlq.messages.detection import CANDIDATES
from dlq.messages.envelope import Envelope
from dlq.messages.exact import exact_dumps, loads_long

if TYPE_CHECKING:
    from dlq.config.settings import FieldConfig

_REFAIL_FIELDS: Final = ("error", "error_class", "attempts", "failed_at")
# What job systems also rewrite when a message fails again.
_REFAIL_NAMES: Final = frozenset(
    {
        "error_message",
        "errorMessage",
        "error_code",
        "errorCode",
        "errors",
        "stack",
        "stacktrace",
        "stack_trace",
        "stackTrace",
        "traceback",
        "first_failed_at",
        "firstFailedAt",
        "lastFailedAt",
        "last_attempt_at",
        "lastAttemptAt",
        "retried_at",
        "retriedAt",
        "next_retry_at",
        "nextRetryAt",
        "dead_letter_reason",
    }
)
_LONG_INTEGER: Final = b"0" * 19
_PAYLOAD_SEED: Final = 1  # keeps the hash of a payload apart from the hash of an id
_SORTED: Final = orjson.OPT_SORT_KEYS
_digest = xxhash.xxh3_64_digest


def fingerprint(raw: bytes) -> bytes:
    """Digest the exact bytes of a message (xxh3, 8 bytes)."""
    return _digest(raw)


class Identifier:
    """Works out identities, given where the fields of a queue's messages lie."""

    def __init__(self, fields: "FieldConfig") -> None:
        """Take the paths that a new failure changes: the configured ones, else all the usual names."""
        names: set[str] = set(_REFAIL_NAMES)
        deep: list[FieldPath] = []
        configured = [getattr(fields, field) for field in _REFAIL_FIELDS]
        for field, path in zip(_REFAIL_FIELDS, configured, strict=True):
            if path is None:
                names.update(CANDIDATES[field])
        for text in (*filter(None, configured), *fields.volatile):
            path = FieldPath.parse(text)
            if len(path.parts) == 1:
                names.add(path.parts[0])
            else:
                deep.append(path)
        self._names = frozenset(names)
        self._deep = tuple(deep)

    def identity(self, envelope: Envelope) -> bytes:
        """Give 8 bytes: of type and id where there is an id, else of the payload, else of the raw bytes."""
        raw, body, kind, _, _, _, _, ident, corruption = envelope
        if corruption is not None or body is None:
            return _digest(raw)
        if ident is not None:
            return _digest(f"{kind}\0{ident}".encode())
        return self.payload(raw, body)

    def payload(self, raw: bytes, body: dict[str, Json]) -> bytes:
        """Digest the payload with sorted keys and without the fields that a new failure changes."""
        if _LONG_INTEGER in raw.translate(ZEROES):
            # orjson would read two long integers that differ in their last digits as the same float.
            try:
                return _digest(exact_dumps(self._stable(loads_long(raw)), _SORTED), _PAYLOAD_SEED)
            except (ValueError, TypeError, RecursionError):
                pass
        stable = self._stable(body)
        try:
            return _digest(orjson.dumps(stable, option=_SORTED), _PAYLOAD_SEED)
        except TypeError:  # nested deeper than orjson writes
            return _digest(_walk(stable), _PAYLOAD_SEED)

    def _stable(self, body: dict[str, Json]) -> dict[str, Json]:
        """Copy the body without what a new failure changes."""
        names = self._names
        stable = {key: value for key, value in body.items() if key not in names}
        for path in self._deep:
            stable = _without(stable, path.parts)
        return stable


def _without(value: Json, parts: tuple[str, ...]) -> Json:
    """Copy a value without the field at a path; what lies beside the path is shared.

    An item of an array becomes null, so that the places of the others stay.
    """
    found = FieldPath(parts[:1]).get(value)
    if isinstance(found, Missing):
        return value
    name, rest = parts[0], parts[1:]
    if isinstance(value, list):
        at = int(name)
        return [*value[:at], _without(found, rest) if rest else None, *value[at + 1 :]]
    copy = dict(value)
    if rest:
        copy[name] = _without(found, rest)
    else:
        del copy[name]
    return copy


def _walk(value: Json) -> bytes:
    """Write a value of any depth: containers as their size and then their parts, keys sorted."""
    written: list[bytes] = []
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            written.append(b"{%d" % len(item))
            for key in sorted(item, reverse=True):
                left += (item[key], key)
        elif isinstance(item, list):
            written.append(b"[%d" % len(item))
            left += reversed(item)
        else:
            written.append(orjson.dumps(item))
    return b",".join(written)
