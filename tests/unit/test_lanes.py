"""Slices of messages, parsed by one call and sorted by shape."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlq.config.settings import FieldConfig
from dlq.messages.envelope import EnvelopeReader
from dlq.messages.lanes import SLICE, Lanes, parse
from tests.strategies import MESSAGES


def alone(raw: bytes) -> object:
    """Parse one message; None for what is no JSON."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


@given(st.lists(MESSAGES, max_size=8))
def test_a_slice_parses_as_its_messages_do(messages: list[bytes]) -> None:
    """Whatever they are."""
    assert parse(messages) == [alone(raw) for raw in messages]


@pytest.mark.parametrize(
    "messages",
    [
        [b'{"a":1},{"b":2}'],
        [b'{"a":1},0,{"b":2}', b'{"c":3}'],
        [b'{"a":[1', b"2]}"],
        [b'{"a":"', b'"}'],
        [b"[1],0,[2", b"3]"],
        [b"1", b"", b"2"],
        [b"1,2,3", b""],
        [b""],
        [],
        [b'{"a":1}'] * SLICE,
    ],
    ids=range(10),
)
def test_broken_messages_do_not_make_a_whole_one(messages: list[bytes]) -> None:
    """Pieces of one value in two messages, or two values in one, are no JSON."""
    assert parse(messages) == [alone(raw) for raw in messages]


def test_shapes_are_told_apart_in_one_slice() -> None:
    """Each shape is a group that says where its messages stand; what is no object is in none."""
    bodies: list[object] = [{"type": "a"}, {"type": "b", "id": 1}, [], {"type": "c"}, {"id": 2, "type": "d"}]
    groups = Lanes(EnvelopeReader(FieldConfig())).groups([orjson.dumps(body) for body in bodies])
    assert [list(group.places) for group in groups] == [[0, 3], [1], [4]]
    assert [group.columns[group.lane.kind] for group in groups] == [("a", "c"), ("b",), ("d",)]
