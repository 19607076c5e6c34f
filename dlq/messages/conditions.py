"""Conditions on a field of a message: `FIELD=VALUE` and `FIELD!=VALUE`."""

import re
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict, PrivateAttr

from dlq.errors import BadArgumentError
from dlq.fields import FieldPath, Json, Missing

_CONDITION = re.compile(r"((?:\\.|[^=!\\])+)(!?=)(.*)", re.DOTALL)


class Condition(BaseModel):
    """One `FIELD=VALUE` or `FIELD!=VALUE`; a VALUE that is JSON is compared as JSON, and as text too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    value: str
    negated: bool = False

    _path: FieldPath = PrivateAttr()
    _wanted: Json = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Parse path and value once."""
        self._path = FieldPath.parse(self.field)
        try:
            self._wanted = orjson.loads(self.value)
        except orjson.JSONDecodeError:
            self._wanted = self.value

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `FIELD=VALUE` or `FIELD!=VALUE`."""
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise BadArgumentError(f"{text!r} is not a condition. Write FIELD=VALUE or FIELD!=VALUE.")
        return cls(field=found[1], value=found[3], negated=found[2] == "!=")

    def matches(self, body: dict[str, Json]) -> bool:
        """Compare; a missing field is equal to nothing, not even null."""
        value = self._path.get(body)
        equal = not isinstance(value, Missing) and (
            (isinstance(value, str) and value == self.value) or _same(value, self._wanted)
        )
        return equal is not self.negated

    def __str__(self) -> str:
        """Write the condition as `parse` reads it."""
        return f"{self.field}{'!=' if self.negated else '='}{self.value}"


def _same(value: Json, wanted: Json) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same(value[key], wanted[key]) for key in value)
    return bool(isinstance(value, bool) is isinstance(wanted, bool) and value == wanted)
