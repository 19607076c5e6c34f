"""Changes to a message on its way back, and what they look like."""

import difflib
import itertools
import re
from collections.abc import Iterable
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, PrivateAttr

from dlq.errors import BadArgumentError, EditError
from dlq.fields import FieldPath, Json
from dlq.messages.envelope import Envelope
from dlq.messages.exact import exact_dumps, exact_loads

_DIFF_LINES: Final = 40
_DIFF_WIDTH: Final = 200
_COMPARED: Final = 400  # lines between the first and the last difference; difflib takes quadratic time
_CONTEXT: Final = 2
_ASSIGNMENT = re.compile(r"((?:\\.|[^=\\])+)=(.*)", re.DOTALL)


class Edit(BaseModel):
    """Changes to each selected message: `FIELD=VALUE` texts to set, then fields to unset, then to increment.

    A VALUE that is no JSON is a text. One field may be named once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    increment: tuple[str, ...] = ()

    _operations: list[tuple[str, FieldPath, str]] = PrivateAttr(default_factory=list)

    def model_post_init(self, _context: object) -> None:
        """Parse all paths and values once; BadArgumentError when one cannot be read."""
        operations = [("set", *_assignment(text)) for text in self.set]
        operations += [("unset", FieldPath.parse(text), "") for text in self.unset]
        operations += [("increment", FieldPath.parse(text), "") for text in self.increment]
        paths = [path for _, path, _ in operations]
        for path in paths:
            if paths.count(path) > 1:
                raise BadArgumentError(f"The field {path} is edited twice.")
        self._operations.extend(operations)

    def __bool__(self) -> bool:
        """Tell whether there is anything to change."""
        return bool(self._operations)

    def apply(self, envelope: Envelope) -> bytes:
        """Give the new bytes: compact JSON, keys in their order, all other numbers as they were written.

        The very same bytes come back when nothing changes. EditError when the edit does not apply.
        """
        if envelope.corruption is not None or envelope.body is None:
            raise EditError(f"A corrupted message cannot be edited: {envelope.corruption}.")
        try:
            body = exact_loads(envelope.raw)
            before = exact_dumps(body)
            self._change(body)
            after = exact_dumps(body)
        except BadArgumentError as exc:
            raise EditError(exc.detail) from exc
        except (ValueError, TypeError, RecursionError) as exc:
            raise EditError("The message is nested too deeply to be edited.") from exc
        return envelope.raw if after == before else after

    def describe(self) -> str:
        """Say in one line what is changed."""
        said = [f"{kind} {path}" + (f"={value}" if value else "") for kind, path, value in self._operations]
        return ", ".join(said) or "no edit"

    def _change(self, body: Json) -> None:
        """Make the changes in place."""
        for kind, path, value in self._operations:
            if kind == "set":
                path.set(body, exact_loads(value))
            elif kind == "unset":
                path.unset(body)
            else:
                path.increment(body)


def _assignment(text: str) -> tuple[FieldPath, str]:
    """Read `FIELD=VALUE` as a path and JSON text."""
    found = _ASSIGNMENT.fullmatch(text)
    if found is None:
        raise BadArgumentError(f"{text!r} is not an edit. Write FIELD=VALUE.")
    try:
        return FieldPath.parse(found[1]), exact_dumps(exact_loads(found[2])).decode()
    except (ValueError, TypeError, RecursionError):
        return FieldPath.parse(found[1]), _quoted(found[2])


def _quoted(text: str) -> str:
    """Write a text as JSON."""
    try:
        return orjson.dumps(text).decode()
    except TypeError as exc:
        raise BadArgumentError("A value of an edit is not UTF-8.") from exc


def diff(raw: bytes, edited: bytes) -> str:
    """Show what an edit changes, line by line of the indented JSON; 40 lines at most, "" for no change.

    Shows the payload: for the eyes of who asked for it, never for a log.
    """
    before, after = _lines(raw), _lines(edited)
    head = _common(zip(before, after, strict=False))
    tail = _common(zip(reversed(before[head:]), reversed(after[head:]), strict=False))
    start, tail = max(0, head - _CONTEXT), max(0, tail - _CONTEXT)
    old, new = before[start : len(before) - tail][:_COMPARED], after[start : len(after) - tail][:_COMPARED]
    unified = itertools.islice(difflib.unified_diff(old, new, n=_CONTEXT, lineterm=""), 2, None)
    lines = [line[:_DIFF_WIDTH] for line in unified if not line.startswith("@@")]
    if len(lines) > _DIFF_LINES:
        lines = [*lines[: _DIFF_LINES - 1], f"... {len(lines) - _DIFF_LINES + 1} more lines"]
    return "\n".join(lines)


def _lines(raw: bytes) -> list[str]:
    """Indent JSON; what cannot be read is one line of text."""
    try:
        return exact_dumps(exact_loads(raw), orjson.OPT_INDENT_2).decode().split("\n")
    except (ValueError, TypeError, RecursionError):
        return raw.decode("utf-8", "replace").split("\n")


def _common(pairs: Iterable[tuple[str, str]]) -> int:
    """Count the equal pairs at the beginning."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
