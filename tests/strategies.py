"""What messages may be: hypothesis strategies for bodies, errors and raw bytes."""

from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st

from dlq.messages.detection import CANDIDATES

settings.register_profile("dlq", deadline=None)  # a busy machine is no failure
settings.load_profile("dlq")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 9)
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(
    [
        "timed out", "5", "1200 ms", "TimeoutError", "psycopg2.errors.UniqueViolation", ": ", ":", "::", " ", "\n",
        "'tenant'", '"', "'", "`x`", "10.0.0.1:5432", "https://api.example/v1/42", "a@b.example", "0x1f",
        "8f14e45f-ceea-467f-a0e6-1b2c3d4e5f60", "deadbeef01", "payment-gateway", "db.internal", "<id>", "#", "\t",
        "Traceback (most recent call last)", "ch_3MmlLrLkdIwHu7ix0snN", "2026-01-31T10:00:00Z", "é", "-", "…",
        "a", "0", "_", ".", "@", "<", ">", "/", "'a'", "0a0b0c0d0e0f0g", ".com", "“", "”", "https://", "[",
    ]
)  # fmt: skip
ERROR_TEXTS = st.lists(WORDS | TEXT, max_size=8).map("".join)
ERRORS = st.one_of(
    ERROR_TEXTS,
    st.fixed_dictionaries(
        {},
        optional={
            "class": st.sampled_from(["TimeoutError", "", 5]),
            "code": st.integers(0, 599),
            "message": ERROR_TEXTS,
            "detail": SCALARS,
        },
    ),
    VALUES,
)
_USUAL: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["webhook", "email", "", "a\0b"]) | VALUES,
    "error": ERRORS,
    "error_class": st.sampled_from(["TimeoutError", "OAuth2Error", "E11000", ""]) | SCALARS,
    "attempts": st.integers(0, 20) | SCALARS,
    "failed_at": st.sampled_from(["2026-01-31T10:00:00Z", "2026-01-31 10:00", 1_769_853_600_000]) | SCALARS,
    "id": st.sampled_from(["evt_1", "", 7, 2**80, True, 1.0]) | SCALARS,
}


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a body with some of the usual fields, under any of their names, in any order, and some others.

    Most have a plain type, since nothing else is looked at in a message without one.
    """
    pairs: list[tuple[str, Any]] = [("type", "email")] if draw(st.integers(0, 3)) else []
    for field, values in _USUAL.items():
        names = draw(st.lists(st.sampled_from(CANDIDATES[field][:3]), max_size=2, unique=True))
        pairs += [(name, draw(values)) for name in names]
    pairs += draw(st.lists(st.tuples(TEXT | st.just("payload"), VALUES), max_size=3))
    return dict(draw(st.permutations(pairs)))


def to_json(body: Any) -> bytes:
    """Write a body, integers beyond 64 bits too."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return orjson.dumps(body, default=str) if not isinstance(body, dict) else _wide(body)


def _wide(body: dict[str, Any]) -> bytes:
    parts = [
        orjson.dumps(key) + b":" + (str(value).encode() if isinstance(value, int) else orjson.dumps(value))
        for key, value in body.items()
        if not isinstance(value, bool)
    ]
    return b"{" + b",".join(parts) + b"}"


ODD_BYTES = st.sampled_from(
    [
        b"", b" \n", b"{}", b"[]", b"null", b"5", b'"text"', b'["type","error"]', b"{", b"NaN", b'{"type":NaN}',
        b'{"type":Infinity}', b'{"type":"a","type":"b"}', b'{"type":"a","n":1e400}', b"\xff\xfe", b"\xef\xbb\xbf{}",
        b'{"type":"\\ud800"}', b"[" * 1_025 + b"]" * 1_025, b"[" * 1_025, b"[" * 1_024 + b"]" * 1_024,
        b'{"type":"a","id":123456789012345678901234567890}', b'{"type":"a","n":' + b"9" * 400 + b"}",
        b'{"type":"a","n":' + b"[" * 500 + b"]" * 500 + b"}", b'{"type":"a",}', b"\x00", b'{"type":"a"} trailing',
    ]
)  # fmt: skip
BODIES = bodies().map(to_json)
HEALTHY_MESSAGES = bodies().map(lambda body: to_json({"type": "t", **body, "event": "e"}))
MESSAGES = st.integers(0, 9).flatmap(
    lambda kind: {0: ODD_BYTES, 1: st.binary(max_size=60), 2: VALUES.map(to_json)}.get(kind, BODIES)
)
"""Seven of ten are objects, the rest is anything."""
