"""JSON whose numbers keep the text that they were written with.

orjson reads integers beyond 64 bits as floats; enough to look at a message, not to rewrite one.
"""

import json
from typing import Final, NoReturn

import orjson

from dlq.fields import Json

_DIGITS_OF_64_BITS: Final = 18  # whole numbers up to here always fit
_LONGEST_OF_64_BITS: Final = 20  # and beyond this never


class ExactNumber:
    """A number that is written back as it was read: a float, or an integer that 64 bits do not hold."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Keep the text of the number."""
        self.text = text

    def __eq__(self, other: object) -> bool:
        """Compare by text."""
        return isinstance(other, ExactNumber) and other.text == self.text

    def __hash__(self) -> int:
        """Hash by text, as equality compares."""
        return hash(self.text)


def _whole(text: str) -> int | ExactNumber:
    """Read an integer as int only where writing it gives the same text again."""
    return int(text) if len(text) <= _DIGITS_OF_64_BITS and text != "-0" else ExactNumber(text)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    raise TypeError(type(value).__name__)


def exact_loads(raw: bytes | str) -> Json:
    """Read JSON; floats and long integers become ExactNumber, small integers stay int.

    Raises ValueError for what is not JSON or not UTF-8, RecursionError for deep nesting.
    """
    text = raw.decode() if isinstance(raw, bytes) else raw
    return json.loads(text, parse_int=_whole, parse_float=ExactNumber, parse_constant=_constant)


def loads_long(raw: bytes) -> Json:
    """Read JSON as orjson does, but integers beyond 64 bits as ExactNumber. Raises as `exact_loads`."""
    return json.loads(raw.decode(), parse_int=_long, parse_constant=_constant)


def _long(text: str) -> int | ExactNumber:
    if len(text) <= _LONGEST_OF_64_BITS and -(2**63) <= int(text) < 2**64:
        return int(text)
    return ExactNumber(text)


def exact_dumps(value: Json, option: int = 0) -> bytes:
    """Write compact JSON; orjson.JSONEncodeError (a TypeError) when nested deeper than 254 levels."""
    return orjson.dumps(value, default=_fragment, option=option)
