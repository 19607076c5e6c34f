"""Conditions on a field of a message."""

import orjson
import pytest

from dlq.errors import BadArgumentError
from dlq.messages.conditions import Condition

BODY = {"status": "open", "n": 1, "order": {"id": "4711", "paid": True, "tags": ["a", 1]}}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("status=open", True),
        ("status=closed", False),
        ("status!=closed", True),
        ("status!=open", False),
        ("missing=1", False),
        ("missing=null", False),
        ("missing!=1", True),
        ("n=1", True),
        ("n=1.0", True),
        ("n=true", False),
        ("order.paid=true", True),
        ("order.paid=1", False),
        ("order.id=4711", True),
        ('order.id="4711"', True),
        ("order.id=47", False),
        ('order.tags=["a",1]', True),
        ('order.tags=["a",true]', False),
        ("order.tags.1=1", True),
        ('order={"tags":["a",1],"paid":true,"id":"4711"}', True),
        ("status=", False),
        ("big=123456789012345678901234567890", True),
    ],
)
def test_conditions_compare_fields(condition: str, holds: bool) -> None:  # noqa: FBT001 - a column of the table
    """As JSON, where the value is JSON, and as text."""
    body = orjson.dumps(BODY)[:-1] + b',"big":123456789012345678901234567890}'
    assert Condition.parse(condition).matches(orjson.loads(body)) is holds


@pytest.mark.parametrize("text", ["", "=1", "status", "a..b=1"])
def test_a_bad_condition_is_refused(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(BadArgumentError):
        Condition.parse(text)


def test_an_escaped_equals_sign_belongs_to_the_name() -> None:
    """Names may hold anything."""
    condition = Condition.parse(r"a\=b=c=d")
    assert condition.matches({"a=b": "c=d"})
    assert Condition.parse(str(condition)) == condition
