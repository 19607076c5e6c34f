"""Where the usual job systems keep type, error, attempts, time of failure and id.

A field that the queue's configuration names is read there and nowhere else. For the others the candidates are
tried in their fixed order and the first with a usable value wins, so that a message always reads the same.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dlq.fields import FieldPath, Json
from dlq.messages.exact import ExactNumber

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlq.config.settings import FieldConfig

T = TypeVar("T")
Source = str | FieldPath
Sources = tuple[Source, ...]

CANDIDATES: Final[dict[str, tuple[str, ...]]] = {
    "type": ("type", "event_type", "eventType", "event", "kind", "job", "task", "name"),
    "error": ("error", "last_error", "lastError", "exception", "failure", "reason", "failedReason", "err"),
    "error_class": ("error_class", "errorClass", "error_type", "errorType", "exception_class"),
    "attempts": ("attempts", "retryCount", "retry_count", "retries", "attempt", "attemptsMade"),
    "failed_at": ("failed_at", "failedAt", "dead_at", "deadAt", "last_failed_at", "timestamp"),
    "id": ("id", "message_id", "messageId", "job_id", "jobId", "event_id", "eventId", "uuid"),
}
_CLASS_KEYS: Final = ("class", "type", "name", "code")
_TEXT_KEYS: Final = ("message", "msg", "text", "detail", "reason")
TRACEBACK: Final = "Traceback (most recent call last)"
_CLASS = re.compile(r"([A-Za-z_$][\w$]{0,79}(?:(?:\.|::|\\)[A-Za-z_$][\w$]{0,79}){0,9})(:(?=\s|\Z)|\Z)", re.ASCII)
_CLASS_ENDINGS: Final = ("Error", "Exception", "Timeout", "Failure", "Fault", "Interrupt")
_LAST_SECOND: Final = 253_402_300_799.0  # the end of the year 9999, the last that datetime knows
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # from this size on a number counts ns, µs, ms
_LONGEST_NUMBER: Final = 20


class Plan(NamedTuple):
    """Which keys to look at in messages of one shape (the same top-level keys in the same order).

    `*_key` is the first source where it is a top-level key, for the quick look; the tuples hold all sources.
    Both groups have the order of CANDIDATES.
    """

    type_key: str | None
    error_key: str | None
    class_key: str | None
    attempts_key: str | None
    moment_key: str | None
    id_key: str | None
    types: Sources
    errors: Sources
    classes: Sources
    attempts: Sources
    moments: Sources
    ids: Sources


def make_plan(fields: "FieldConfig", keys: "Iterable[str]") -> Plan:
    """Decide for messages with these top-level keys where each field is looked for."""
    present = set(keys)

    def sources(field: str) -> Sources:
        configured = getattr(fields, field)
        if configured is None:
            return tuple(key for key in CANDIDATES[field] if key in present)
        path = FieldPath.parse(configured)
        if len(path.parts) > 1:
            return (path,)
        return tuple(key for key in path.parts if key in present)

    types, errors, classes, attempts, moments, ids = (sources(field) for field in CANDIDATES)
    return Plan(
        *(_quick(types), _quick(errors), _quick(classes), _quick(attempts), _quick(moments), _quick(ids)),
        *(types, errors, classes, attempts, moments, ids),
    )


def _quick(sources: Sources) -> str | None:
    """Give the first source if it is a top-level key."""
    return sources[0] if sources and isinstance(sources[0], str) else None


def first(body: dict[str, Json], sources: Sources, read: Callable[[Json], T | None]) -> T | None:
    """Give the first value among the sources that `read` can use."""
    for source in sources:
        found = read(body[source] if isinstance(source, str) else source.get(body))
        if found is not None:
            return found
    return None


def as_name(value: Json) -> str | None:
    """Read a type, class or id: a text that is not empty, or a whole number."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def as_inexact(value: Json) -> float | None:
    """Read a float, which an integer beyond 64 bits looks like."""
    return value if isinstance(value, float) else None


def as_exact_name(value: Json) -> str | None:
    """Read a name, or the text of a number that was kept exact."""
    return value.text if isinstance(value, ExactNumber) else as_name(value)


def as_count(value: Json) -> int | None:
    """Read a number of attempts from a whole number or its text."""
    if isinstance(value, str):
        digits = value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER
        return int(value) if digits else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_moment(value: Json) -> float | None:
    """Read a point in time as epoch seconds: ISO 8601 (naive is UTC) or epoch in s, ms, µs or ns.

    What lies before 1970 or after 9999 is no time of failure.
    """
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
            seconds = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = _in_seconds(_number(value))
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    else:
        seconds = _in_seconds(value)
    return seconds if 0 <= seconds <= _LAST_SECOND else None


def _in_seconds(number: float) -> float:
    """Bring an epoch number down to seconds by its size."""
    return next((number / unit for size, unit in _UNITS if number >= size), float(number))


def _number(text: str) -> float:
    try:
        return float(text) if len(text) <= _LONGEST_NUMBER else -1.0
    except ValueError:
        return -1.0


def as_error(value: Json) -> tuple[str, str] | None:
    """Read an error value as (class, text): a text, an object with both, or a list that begins with one."""
    if isinstance(value, list) and value and not isinstance(value[0], list):
        value = value[0]
    if isinstance(value, dict):
        name = first(value, tuple(key for key in _CLASS_KEYS if key in value), as_name)
        text = first(value, tuple(key for key in _TEXT_KEYS if key in value), as_name) or ""
        return (name, text) if name else (split_error(text) if text else None)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return None
    return split_error(str(value))


def as_whole_text(value: Json) -> str | None:
    """Read the text of an error whose class is known from elsewhere: nothing is split off."""
    if isinstance(value, str):
        return value or None
    found = as_error(value)
    return found[1] if found and found[1] else None


def split_error(text: str) -> tuple[str, str]:
    """Split `TimeoutError: gateway ...` into class and text; the class is "" where none is said.

    Of a Python traceback the last line counts. A class begins with a capital or ends like one.
    """
    if text.startswith(TRACEBACK):
        text = text.rstrip().rpartition("\n")[2]
    found = _CLASS.match(text)
    if found is None:
        return "", text
    name = found[1]
    last = re.split(r"[.:\\]", name)[-1]
    if last.endswith(_CLASS_ENDINGS) or (found[2] and last[0].isupper()):
        return name, text[found.end() :].lstrip()
    return "", text
