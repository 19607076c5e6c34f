"""Reading any bytes into an envelope."""

import orjson
import pytest
from hypothesis import given

from dlq.config.settings import FieldConfig
from dlq.errors import ConfigError
from dlq.messages.envelope import (
    EMPTY,
    INVALID_JSON,
    NO_TYPE,
    NOT_AN_OBJECT,
    NOT_UTF8,
    TOO_DEEP,
    Envelope,
    EnvelopeReader,
)
from tests.strategies import MESSAGES


def read(raw: bytes, **fields: str) -> Envelope:
    """Read with detection, or with the given paths."""
    return EnvelopeReader(FieldConfig.model_validate(fields)).read(raw)


def read_body(body: object, **fields: str) -> Envelope:
    """Read a body."""
    return read(orjson.dumps(body), **fields)


@given(MESSAGES)
def test_any_bytes_are_read_the_same_way_twice(raw: bytes) -> None:
    """Whatever the bytes, reading raises nothing, keeps them, and does not depend on what was read before."""
    seasoned = EnvelopeReader(FieldConfig())
    first = seasoned.read(raw)
    assert first.raw is raw
    assert str(seasoned.read(raw)) == str(first) == str(EnvelopeReader(FieldConfig()).read(raw))
    assert (first.corruption is None) is (first.body is not None and first.type != "")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", EMPTY),
        (b" \r\n\t", EMPTY),
        (b"\xff\xfe{}", NOT_UTF8),
        (b'{"type":"a\xc3"}', NOT_UTF8),
        (b"{", INVALID_JSON),
        (b'{"type":NaN}', INVALID_JSON),
        (b'{"type":"a","n":-Infinity}', INVALID_JSON),
        (b'{"type":"\\ud800"}', INVALID_JSON),
        (b'{"type":"\\ud800","n":1e400}', INVALID_JSON),
        (b"[1]", NOT_AN_OBJECT),
        (b"null", NOT_AN_OBJECT),
        (b"1e400", NOT_AN_OBJECT),
        (b'"type"', NOT_AN_OBJECT),
        (b"{}", NO_TYPE),
        (b'{"type":""}', NO_TYPE),
        (b'{"type":null,"payload":1}', NO_TYPE),
        (b'{"type":true}', NO_TYPE),
        (b"[" * 1_025 + b"]" * 1_025, TOO_DEEP),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, TOO_DEEP),
        (b"[" * 1_024 + b"]" * 1_024, NOT_AN_OBJECT),
        (b'"' + b"[" * 2_000, INVALID_JSON),
        (b'{"t":"' + b"[" * 2_000 + b'\\"[",}', INVALID_JSON),
    ],
    ids=range(22),
)
def test_a_corrupted_message_says_why(raw: bytes, reason: str) -> None:
    """Each kind of corruption has its phrase; brackets inside of strings are no nesting."""
    assert read(raw).corruption == reason


def test_ten_megabytes_are_read() -> None:
    """Size alone corrupts nothing."""
    envelope = read_body({"type": "big", "payload": "x" * 10_000_000})
    assert (envelope.type, envelope.corruption) == ("big", None)


def test_an_unfinished_string_of_escaped_quotes_is_judged_in_linear_time() -> None:
    """A megabyte made to trip the bracket counter is read at once (the suite's timeout is the judge)."""
    assert read(b"[" * 2_000 + b'"' + b'\\"' * 500_000).corruption == TOO_DEEP
    assert read(b"[]" * 2_000 + b'"' + b'\\"' * 500_000).corruption == INVALID_JSON


def test_long_runs_of_digits_beside_a_number_that_is_too_large_corrupt_nothing() -> None:
    """Only the number itself is beyond what a float holds."""
    near = ",".join(["1" * 299] * 50)
    assert read(f'{{"type":"t","near":[{near}],"far":[1,-{"9" * 400}]}}'.encode()).corruption is None
    assert read((b"1" * 299 + b" ") * 1_000).corruption == INVALID_JSON


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "9" * 400, "1e400", "-1E+999"])
def test_numbers_beyond_64_bits_corrupt_nothing(number: str) -> None:
    """Such a message is healthy; its other fields are read as ever."""
    envelope = read(f'{{"id":"a","type":"t","n":{number},"attempts":2}}'.encode())
    assert (envelope.id, envelope.type, envelope.attempts, envelope.corruption) == ("a", "t", 2, None)


@pytest.mark.parametrize("number", ["18446744073709551616", "123456789012345678901234567890", "9" * 400])
def test_an_id_beyond_64_bits_is_exact(number: str) -> None:
    """Two such ids that differ in the last digit stay two."""
    assert read(f'{{"type":"t","id":{number}}}'.encode()).id == number


def test_of_duplicate_keys_the_last_wins() -> None:
    """As for every consumer that uses a dictionary."""
    assert read(b'{"type":"a","id":1,"type":"b"}').type == "b"


def test_the_usual_names_are_found_in_their_order() -> None:
    """`type` goes before `event`, and a useless value makes room for the next candidate."""
    body = {"event": "e", "type": "t", "error": None, "last_error": "KeyError: 'x'", "job_id": 5, "id": ""}
    envelope = read_body(body)
    assert (envelope.type, envelope.error_class, envelope.error, envelope.id) == ("t", "KeyError", "'x'", "5")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "TimeoutError: gateway is slow"}, ("TimeoutError", "gateway is slow")),
        ({"error": "requests.exceptions.ConnectTimeout: x: y"}, ("requests.exceptions.ConnectTimeout", "x: y")),
        ({"error": "psycopg2.errors.UniqueViolation:\n  dup"}, ("psycopg2.errors.UniqueViolation", "dup")),
        ({"error": "Foo::BarError: x"}, ("Foo::BarError", "x")),
        ({"error": "TimeoutError"}, ("TimeoutError", "")),
        ({"error": "TimeoutError:"}, ("TimeoutError", "")),
        ({"error": "connection refused: db"}, ("", "connection refused: db")),
        ({"error": "timeout: db"}, ("", "timeout: db")),
        ({"error": "10:30: late"}, ("", "10:30: late")),
        ({"error": "refused"}, ("", "refused")),
        ({"error": {"name": "AxiosError", "message": "500"}}, ("AxiosError", "500")),
        ({"error": {"code": 503, "detail": "busy"}}, ("503", "busy")),
        ({"error": {"message": "ValueError: bad"}}, ("ValueError", "bad")),
        ({"error": {"stack": "..."}, "reason": "gone"}, ("", "gone")),
        ({"error": [{"class": "A", "text": "b"}, "c"]}, ("A", "b")),
        ({"error": 500}, ("", "500")),
        ({"error": "Boom: x", "error_class": "RealError"}, ("RealError", "Boom: x")),
        ({"error": {"message": "m", "name": "N"}, "errorType": "T"}, ("T", "m")),
        ({"error": "Traceback (most recent call last):\n  File\nValueError: bad\n"}, ("ValueError", "bad")),
        ({"error_class": "OnlyClass"}, ("OnlyClass", "")),
        ({}, ("", "")),
    ],
    ids=range(21),
)
def test_class_and_text_of_an_error_are_told_apart(body: dict[str, object], expected: tuple[str, str]) -> None:
    """A class of its own field wins, then the object's, then what stands before the colon."""
    envelope = read_body({"type": "t", **body})
    assert (envelope.error_class, envelope.error) == expected


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2026-01-31T10:00:00Z", 1_769_853_600),
        ("2026-01-31T12:00:00.5+02:00", 1_769_853_600.5),
        ("2026-01-31 10:00:00", 1_769_853_600),
        (1_769_853_600, 1_769_853_600),
        (1_769_853_600.25, 1_769_853_600.25),
        (1_769_853_600_250, 1_769_853_600.25),
        ("1769853600250", 1_769_853_600.25),
        (1_769_853_600_250_000, 1_769_853_600.25),
        (1_769_853_600_250_000_000, 1_769_853_600.25),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        (True, None),
        (-5, None),
        ("nan", None),
        ("inf", None),
        (10**40, None),
        (None, None),
    ],
    ids=range(17),
)
def test_the_time_of_failure_is_read_in_the_usual_forms(written: object, seconds: float | None) -> None:
    """ISO 8601 in any zone, naive as UTC, and epoch in seconds or finer; nonsense is no time."""
    text = f'{{"type":"t","failed_at":{orjson.dumps(written).decode() if written != 10**40 else 10**40}}}'
    assert read(text.encode()).failed_at == (seconds and pytest.approx(seconds, abs=1e-6))


@pytest.mark.parametrize(
    ("written", "count"), [(3, 3), ("4", 4), (2.0, 2), (2.5, None), (True, None), ("x", None), ([], None), ("²", None)]
)
def test_attempts_are_a_whole_number_or_its_text(written: object, count: int | None) -> None:
    """Anything else is no number of attempts."""
    assert read_body({"type": "t", "attempts": written}).attempts == count


def test_configured_paths_take_the_place_of_detection() -> None:
    """What the queue names is read there and nowhere else, in arrays and under names with dots too."""
    body = {
        "type": "wrong",
        "meta": {"kind": "right", "tries": [{"error": "KeyError: 'a'"}], "n": 4, "app.id": "x1", "at": 1_769_853_600},
        "error": "wrong",
    }
    envelope = read_body(
        body,
        type="meta.kind",
        error="meta.tries.0.error",
        attempts="meta.n",
        id=r"meta.app\.id",
        failed_at="meta.at",
        error_class="none",
    )
    assert envelope[2:] == ("right", "KeyError", "'a'", 4, 1_769_853_600, "x1", None)
    assert read_body({"type": "t"}, type="meta.kind").corruption == NO_TYPE


def test_a_failed_schema_is_named_without_the_value() -> None:
    """The reason has the place and the rule; the type stays readable."""
    schema = {"properties": {"items": {"items": {"properties": {"price": {"type": "number"}}}}}}
    reader = EnvelopeReader(FieldConfig(), schema)
    envelope = reader.read(b'{"type":"order","items":[{"price":1},{"price":"secret"}]}')
    assert (envelope.type, envelope.corruption) == ("order", "schema: $.items[].price: type")
    assert reader.read(b'{"type":"order","items":[{"price":1}]}').corruption is None
    assert reader.read(b"{}").corruption == NO_TYPE


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"properties": {"a": {"$ref": "#/$defs/missing"}}},
        {"$ref": "https://schemas.example/order.json"},
        {"properties": {"a": {"pattern": "("}}},
        ["not an object"],
    ],
    ids=["type", "missing definition", "remote", "pattern", "array"],
)
def test_a_broken_schema_is_refused_at_once(schema: dict[str, object]) -> None:
    """It must not come out message by message, and nothing is fetched from the network."""
    with pytest.raises(ConfigError, match="JSON Schema"):
        EnvelopeReader(FieldConfig(), schema)


def test_many_shapes_do_not_fill_the_memory() -> None:
    """A queue in which each message has other keys leaves a bounded number of plans."""
    reader = EnvelopeReader(FieldConfig())
    for number in range(3_000):
        reader.read(orjson.dumps({"type": "t", f"key{number}": 1}))
    assert len(reader._plans) <= 1_024
