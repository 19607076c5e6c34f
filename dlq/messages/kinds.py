"""Which types are wanted, answered by one look-up a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_CACHED: Final = 8_192
_LONGEST: Final = 1_024


class Kinds(dict[Any, bool | None]):
    """Says of the value of a type field whether messages with it are wanted; None where the reader has to look."""

    def __init__(self, wanted: Iterable[str]) -> None:
        """Take the types that are wanted."""
        super().__init__(dict.fromkeys(wanted, True))

    def __missing__(self, kind: Any) -> bool | None:
        """Remember that a type is not wanted, unless there are very many; what is no name is for the reader."""
        if not isinstance(kind, str) or not kind:
            return None
        if len(self) < _CACHED and len(kind) <= _LONGEST:
            self[kind] = False
        return False
