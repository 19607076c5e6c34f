"""Changes to a message on its way back."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlq.config.settings import FieldConfig
from dlq.errors import BadArgumentError, EditError
from dlq.fields import FieldPath
from dlq.messages.edits import Edit, diff
from dlq.messages.envelope import Envelope, EnvelopeReader
from dlq.messages.exact import ExactNumber, exact_dumps, exact_loads
from tests.strategies import HEALTHY_MESSAGES, MESSAGES, VALUES

READER = EnvelopeReader(FieldConfig())
RUNBOOK = Edit(set=("retryCount=0",))


def read(raw: bytes) -> Envelope:
    """Read a message."""
    return READER.read(raw)


def edited(raw: bytes, **operations: Any) -> bytes:
    """Edit a message."""
    return Edit(**operations).apply(read(raw))


def test_the_edit_of_the_runbook_sets_the_count_back() -> None:
    """Compact JSON comes out, keys in their order."""
    assert (
        edited(b'{"type": "t", "retryCount": 5, "b": 1}', set=("retryCount=0",)) == b'{"type":"t","retryCount":0,"b":1}'
    )


def test_set_unset_and_increment_go_together() -> None:
    """Each on its own field."""
    raw = b'{"type":"t","a":{"x":1,"y":2},"n":4,"list":[1,2]}'
    after = edited(raw, set=("a.x=[true]", "new.deep=word", "list.0=null"), unset=("a.y", "none"), increment=("n", "m"))
    assert after == b'{"type":"t","a":{"x":[true]},"n":5,"list":[null,2],"new":{"deep":"word"},"m":1}'


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("0", b"0"),
        ("word", b'"word"'),
        ('"0"', b'"0"'),
        ("a=b", b'"a=b"'),
        ("", b'""'),
        ("null", b"null"),
        (" [1, 2] ", b"[1,2]"),
        ("NaN", b'"NaN"'),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("1.10", b"1.10"),
        ("é", '"é"'.encode()),
    ],
    ids=range(11),
)
def test_a_value_is_json_or_else_a_text(value: str, written: bytes) -> None:
    """Numbers in it stay as they were typed."""
    assert edited(b'{"type":"t","v":5}', set=(f"v={value}",)) == b'{"type":"t","v":' + written + b"}"


@pytest.mark.parametrize(
    "number", ["18446744073709551616", "-0", "1.10", "1e400", "1E5", "9" * 5_000, "0.1000000000000000055"]
)
def test_numbers_that_are_not_edited_keep_their_text(number: str) -> None:
    """No float rounds them, no size stops them."""
    raw = f'{{"type":"t","n":{number},"deep":[{{"n":{number}}}],"v":1}}'.encode()
    assert edited(raw, set=("v=2",)) == raw.replace(b'"v":1', b'"v":2')


@given(HEALTHY_MESSAGES, VALUES)
def test_only_the_named_field_changes(raw: bytes, value: Any) -> None:
    """Everything else is the same JSON in the same order, and the new value is found where it was put."""
    after = edited(raw, set=(f"zzz={orjson.dumps(value).decode()}",))
    body, changed = exact_loads(raw), exact_loads(after)
    assert exact_dumps(changed.pop("zzz")) == exact_dumps(exact_loads(orjson.dumps(value)))
    assert list(changed.items()) == [item for item in body.items() if item[0] != "zzz"]
    assert edited(after, unset=("zzz",)) == exact_dumps({key: body[key] for key in body if key != "zzz"})


@given(HEALTHY_MESSAGES)
def test_an_edit_that_changes_nothing_gives_the_same_bytes(raw: bytes) -> None:
    """White space, escapes and all."""
    spaced = raw.replace(b"{", b"{ ", 1)
    assert edited(spaced, unset=("no such field",)) == spaced
    assert Edit().apply(read(raw)) == raw


@given(MESSAGES)
def test_an_edit_applies_or_says_why_not(raw: bytes) -> None:
    """No other exception comes out of it."""
    try:
        assert read(RUNBOOK.apply(read(raw))).corruption is None
    except EditError as error:
        assert str(error)  # noqa: PT017 - either way is right


def test_a_corrupted_message_is_not_edited() -> None:
    """There are no fields to change."""
    with pytest.raises(EditError, match="cannot be edited: invalid JSON"):
        RUNBOOK.apply(read(b"{"))


@given(HEALTHY_MESSAGES)
def test_editing_twice_is_editing_once(raw: bytes) -> None:
    """A message that comes back edited is not changed again."""
    once = RUNBOOK.apply(read(raw))
    assert RUNBOOK.apply(read(once)) == once
    assert exact_loads(once)["retryCount"] == 0


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        ({"set": ("text.x=1",)}, "runs through"),
        ({"unset": ("text.x",)}, "runs through"),
        ({"set": ("list.5=1",)}, "not an index"),
        ({"increment": ("text",)}, "Cannot increment"),
        ({"increment": ("big",)}, "Cannot increment"),
        ({"increment": ("float",)}, "Cannot increment"),
    ],
    ids=range(6),
)
def test_an_edit_that_does_not_apply_says_so(operations: dict[str, Any], reason: str) -> None:
    """The caller keeps the message; its values are not in the error."""
    raw = b'{"type":"t","text":"secret","list":[],"big":18446744073709551616,"float":1.5}'
    with pytest.raises(EditError, match=reason) as caught:
        edited(raw, **operations)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("levels", [300, 900])
def test_a_message_that_is_nested_too_deeply_is_not_edited(levels: int) -> None:
    """It can be moved, but not written anew."""
    raw = b'{"type":"t","n":' + b"[" * levels + b"]" * levels + b"}"
    with pytest.raises(EditError, match="nested too deeply"):
        RUNBOOK.apply(read(raw))


@pytest.mark.parametrize(
    "operations",
    [
        {"set": ("novalue",)},
        {"set": ("=1",)},
        {"set": ("a..b=1",)},
        {"unset": ("",)},
        {"increment": ("a.",)},
        {"set": ("a=1", "a=2")},
        {"set": ("a=1",), "unset": ("a",)},
        {"set": ("a=\udcff",)},
    ],
    ids=range(8),
)
def test_a_bad_edit_is_refused_when_it_is_made(operations: dict[str, Any]) -> None:
    """Before any message is touched; one field is edited once."""
    with pytest.raises(BadArgumentError):
        Edit(**operations)


def test_an_escaped_equals_sign_belongs_to_the_name() -> None:
    """Names may hold anything."""
    assert edited(b'{"type":"t"}', set=(r"a\=b=c",)) == b'{"type":"t","a=b":"c"}'


def test_an_edit_out_of_the_ledger_is_the_same_edit() -> None:
    """It goes through JSON when a run is resumed."""
    edit = Edit(set=("a.b=1.10", "c=word"), unset=("d",), increment=("e",))
    again = Edit.model_validate(json.loads(json.dumps(edit.model_dump(mode="json"))))
    assert again == edit
    assert again.describe() == edit.describe() == 'set a.b=1.10, set c="word", unset d, increment e'
    assert edit
    assert not Edit()
    assert Edit().describe() == "no edit"


def test_exact_numbers_are_equal_by_text() -> None:
    """And count once in a set."""
    assert len({ExactNumber("1.0"), ExactNumber("1.0"), ExactNumber("1.00")}) == 2
    assert ExactNumber("1") != 1
    with pytest.raises(TypeError):
        exact_dumps({"a": object()})


def test_a_diff_shows_what_changes_and_a_little_around() -> None:
    """Line by line of the indented JSON."""
    raw = orjson.dumps({"type": "t", "a": 1, "b": 2, "c": 3, "retryCount": 5, "d": 4, "e": 5, "f": 6})
    shown = diff(raw, RUNBOOK.apply(read(raw)))
    assert shown.split("\n") == [
        '   "b": 2,',
        '   "c": 3,',
        '-  "retryCount": 5,',
        '+  "retryCount": 0,',
        '   "d": 4,',
        '   "e": 5,',
    ]
    assert diff(raw, raw) == ""


@given(MESSAGES, MESSAGES)
def test_a_diff_of_anything_is_short(raw: bytes, other: bytes) -> None:
    """At most 40 lines of 200 characters, whatever the bytes."""
    lines = diff(raw, other).split("\n")
    assert len(lines) <= 40
    assert all(len(line) <= 200 for line in lines)


def test_a_diff_of_large_messages_is_quick() -> None:
    """Only what lies between the first and the last difference is compared."""
    raw = orjson.dumps({"type": "t", "rows": list(range(200_000)), "retryCount": 1})
    assert '-  "retryCount": 1' in diff(raw, RUNBOOK.apply(read(raw)))
    assert diff(raw, orjson.dumps(list(range(200_000)))).endswith("more lines")


@given(st.lists(st.sampled_from(["a", "b", "a.b"]), unique=True, max_size=3))
def test_operations_keep_their_order(fields: list[str]) -> None:
    """A later one finds what an earlier one made."""
    assume(fields.index("a") < fields.index("a.b") if {"a", "a.b"} <= set(fields) else True)
    after = orjson.loads(edited(b'{"type":"t"}', set=[f"{field}={{}}" for field in fields]))
    assert all(isinstance(FieldPath.parse(field).get(after), dict) for field in fields)
