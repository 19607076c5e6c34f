"""Paths to a field."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlq.errors import BadArgumentError
from dlq.fields import MISSING, FieldPath
from tests.strategies import VALUES

PARTS = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4)


def path(text: str) -> FieldPath:
    """Parse a path."""
    return FieldPath.parse(text)


@given(PARTS)
def test_every_path_is_read_as_it_is_written(parts: list[str]) -> None:
    """Dots and backslashes in names are escaped."""
    written = FieldPath(tuple(parts))
    assert path(str(written)) == written


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a\\"])
def test_a_path_with_an_empty_part_is_refused(text: str) -> None:
    """And so is a backslash that escapes nothing."""
    with pytest.raises(BadArgumentError, match="field path"):
        path(text)


def test_numbers_index_arrays_and_name_fields_of_objects() -> None:
    """What the number means is decided by what it meets."""
    body = {"items": [{"id": "a"}, {"id": "b"}], "0": "zero", "a.b": {"c": 1}, "none": None}
    assert path("items.1.id").get(body) == "b"
    assert path("0").get(body) == "zero"
    assert path(r"a\.b.c").get(body) == 1
    assert path("none").get(body) is None


@pytest.mark.parametrize("text", ["x", "items.2", "items.-1", "items.01", "items.a", "items.0.id.x", "none.x"])
def test_what_is_not_there_is_missing(text: str) -> None:
    """Looking never fails; null is a value, not a gap."""
    found = path(text).get({"items": [{"id": "a"}, {}], "none": None})
    assert found is MISSING
    assert not found
    assert repr(found) == "MISSING"


@given(PARTS, VALUES)
def test_what_was_set_is_found_and_what_was_unset_is_not(parts: list[str], value: Any) -> None:
    """Objects on the way are made where they are missing."""
    body: dict[str, Any] = {}
    field = FieldPath(tuple(parts))
    field.set(body, value)
    assert field.get(body) is value
    assert field.unset(body)
    assert field.get(body) is MISSING
    assert not field.unset(body)


def test_set_and_unset_reach_into_arrays() -> None:
    """By an index that is there."""
    body = {"items": [{"n": 1}, 2]}
    path("items.0.n").set(body, 5)
    path("items.1").set(body, 6)
    assert body == {"items": [{"n": 5}, 6]}
    assert path("items.0").unset(body)
    assert not path("items.7").unset(body)
    assert body == {"items": [6]}


@pytest.mark.parametrize("text", ["text.x", "n.x.y", "none.x", "items.0.x"])
def test_a_path_through_a_scalar_is_refused_and_changes_nothing(text: str) -> None:
    """The error names the path and the obstacle, not the value."""
    body = {"text": "secret", "n": 1, "none": None, "items": [True]}
    before = copy.deepcopy(body)
    for change in (lambda: path(text).set(body, 1), lambda: path(text).unset(body), lambda: path(text).increment(body)):
        with pytest.raises(BadArgumentError, match="runs through") as caught:
            change()
        assert "secret" not in str(caught.value)
    assert body == before


@pytest.mark.parametrize("text", ["items.3", "items.x", "items.-1"])
def test_an_index_that_is_not_there_cannot_be_set(text: str) -> None:
    """Arrays are not stretched."""
    with pytest.raises(BadArgumentError, match="not an index"):
        path(text).set({"items": [1, 2, 3]}, 1)


def test_increment_counts_up_and_starts_at_zero() -> None:
    """A missing field becomes 1."""
    body: dict[str, Any] = {"n": 4}
    path("n").increment(body)
    path("meta.tries").increment(body)
    assert body == {"n": 5, "meta": {"tries": 1}}


@pytest.mark.parametrize("value", ["4", True, None, 1.5, [], {}])
def test_only_whole_numbers_are_incremented(value: object) -> None:
    """A text that looks like a number stays a text."""
    with pytest.raises(BadArgumentError, match="Cannot increment n"):
        path("n").increment({"n": value})
