"""Paths to a field in the body of a message."""

import re
from typing import Any, Final, NamedTuple, Self, TypeAlias

from dlq.errors import BadArgumentError

_PART = re.compile(r"((?:\\.|[^.\\])*)(\.|\Z)", re.DOTALL)
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")

Json: TypeAlias = Any
"""What came out of JSON: dict, list, str, int, float, bool or None, to be looked at before it is used."""


class Missing:
    """The one value that stands for "there is no such field"; None is a value of JSON."""

    def __repr__(self) -> str:
        """Show as the name under which it is imported."""
        return "MISSING"

    def __bool__(self) -> bool:
        """Count as false, like every other nothing."""
        return False


MISSING: Final = Missing()


class FieldPath(NamedTuple):
    r"""A dotted path: `error.message`, `items.0.id`, `labels.app\.name`.

    A number is an index where it meets an array and a name where it meets an object.
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the dotted text; BadArgumentError when a part is empty or a backslash stands alone."""
        parts: list[str] = []
        at = 0
        while True:
            found = _PART.match(text, at)
            if found is None or not found[1]:
                reason = "an empty part" if found else "a backslash that escapes nothing"
                raise BadArgumentError(
                    f"The field path {text!r} has {reason}. Write it like error.message or items.0.id."
                )
            parts.append(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL))
            if not found[2]:
                return cls(tuple(parts))
            at = found.end()

    def __str__(self) -> str:
        """Write the path as `parse` reads it."""
        return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in self.parts)

    def get(self, body: Json) -> Json:
        """Give the value at the path, or MISSING."""
        for part in self.parts:
            if isinstance(body, dict):
                if part not in body:
                    return MISSING
                body = body[part]
            elif isinstance(body, list) and _INDEX.fullmatch(part) and int(part) < len(body):
                body = body[int(part)]
            else:
                return MISSING
        return body

    def set(self, body: Json, value: Json) -> None:
        """Put a value at the path in place; objects on the way are made where they are missing."""
        holder = body
        for depth, part in enumerate(self.parts[:-1]):
            slot = self._slot(holder, depth)
            if isinstance(holder, dict) and part not in holder:
                holder[part] = {}
            holder = holder[slot]
        holder[self._slot(holder)] = value

    def unset(self, body: Json) -> bool:
        """Take the field away in place; False when there is none."""
        holder = body
        for depth, part in enumerate(self.parts):
            if not isinstance(holder, dict | list):
                raise self._blocked(holder, depth)
            if isinstance(FieldPath((part,)).get(holder), Missing):
                return False
            if depth < len(self.parts) - 1:
                holder = holder[self._slot(holder, depth)]
        del holder[self._slot(holder)]
        return True

    def increment(self, body: Json) -> None:
        """Add one to the whole number at the path in place; a missing field starts at 0."""
        value = self.get(body)
        if isinstance(value, Missing):
            value = 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadArgumentError(f"Cannot increment {self}: it is {_kind(value)}, not a whole number.")
        self.set(body, value + 1)

    def _slot(self, holder: Json, depth: int | None = None) -> Json:
        """Turn the part into what indexes the holder; BadArgumentError when it cannot."""
        depth = len(self.parts) - 1 if depth is None else depth
        part = self.parts[depth]
        if isinstance(holder, dict):
            return part
        if not isinstance(holder, list):
            raise self._blocked(holder, depth)
        if not _INDEX.fullmatch(part) or int(part) >= len(holder):
            raise BadArgumentError(f"Field path {self}: {part!r} is not an index of an array of {len(holder)} items.")
        return int(part)

    def _blocked(self, holder: Json, depth: int) -> BadArgumentError:
        before = str(FieldPath(self.parts[:depth])) or "the message"
        return BadArgumentError(f"Field path {self} runs through {before}, which is {_kind(holder)}.")


def _kind(value: Json) -> str:
    """Name the JSON type of a value, never the value."""
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), "a number")
