"""How failed messages differ in form from the others: a field that became a string, that is missing, or new."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ABSENT = "absent"
_PATHS = 200
_DEPTH = 6
_MOST = 0.9  # share of messages for which a form is the usual one
_ENOUGH = 5  # messages on each side
_KINDS: dict[type, str] = {bool: "a boolean", int: "a number", float: "a number", str: "a string", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Drift:
    """A field that has one form in the failed messages and another in the rest."""

    path: str
    was: str
    now: str

    @property
    def summary(self) -> str:
        """Say it in a few words."""
        if self.now == ABSENT:
            return f"field `{self.path}` is missing"
        if self.was == ABSENT:
            return f"field `{self.path}` is new"
        return f"field `{self.path}` became {self.now.removeprefix('became ')}, it was {self.was}"


def shape(body: Mapping[str, Any]) -> dict[str, str]:
    """Give the kind of value at each path of a message, without the values."""
    found: dict[str, str] = {}
    for path, kind in _walk(body, "", 0):
        if len(found) >= _PATHS:
            break
        found[path] = kind
    return found


def drifts(failed: Iterable[Mapping[str, str]], others: Iterable[Mapping[str, str]], about: set[str]) -> list[Drift]:
    """Compare the usual forms on both sides; changes of kind first, then missing, then new fields.

    Paths in `about` belong to the failure itself (error text, attempts) and are left out.
    """
    now, was = _usual(list(failed)), _usual(list(others))
    if now is None or was is None:
        return []
    found = []
    for path in sorted(set(now) | set(was)):
        if any(path == own or path.startswith(f"{own}.") for own in about):
            continue
        before, after = was.get(path, ABSENT), now.get(path, ABSENT)
        if before != after and "" not in (before, after):
            found.append(Drift(path, before, after))
    return sorted(found, key=lambda drift: (ABSENT in {drift.now, drift.was}, drift.was == ABSENT))[:5]


def _walk(value: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        here = f"{path}.{key}" if path else str(key)
        yield here, _kind(inner)
        if isinstance(inner, dict) and depth < _DEPTH:
            yield from _walk(inner, here, depth + 1)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return _KINDS.get(type(value), "a list")


def _usual(shapes: list[Mapping[str, str]]) -> dict[str, str] | None:
    """Give the usual form at each path; "" where there is none. None when there are too few messages."""
    if len(shapes) < _ENOUGH:
        return None
    counts: dict[str, Counter[str]] = {}
    for seen in shapes:
        for path, kind in seen.items():
            counts.setdefault(path, Counter())[kind] += 1
    usual = {}
    for path, kinds in counts.items():
        kinds[ABSENT] += len(shapes) - kinds.total()
        kind, count = kinds.most_common(1)[0]
        usual[path] = kind if count >= _MOST * len(shapes) else ""
    return usual
