"""Fingerprints and identities."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from dlq.config.settings import FieldConfig
from dlq.messages.detection import CANDIDATES
from dlq.messages.envelope import EnvelopeReader
from dlq.messages.identity import Identifier, fingerprint
from tests.strategies import ERRORS, MESSAGES, TEXT, VALUES

PAYLOADS = st.dictionaries(TEXT.map(lambda name: "x_" + name), VALUES, max_size=4)
FAILURES = st.fixed_dictionaries(
    {},
    optional={
        "error": ERRORS,
        "errorClass": TEXT,
        "attempts": st.integers(0, 9),
        "failed_at": st.floats(0, 2e9),
        "timestamp": TEXT,
        "stack": TEXT,
        "lastError": st.just("order 12345678901234567890123 is gone"),
    },
)


def identity(raw: bytes, **fields: Any) -> bytes:
    """Work out the identity of a message, with detection or the given paths."""
    config = FieldConfig.model_validate(fields)
    return Identifier(config).identity(EnvelopeReader(config).read(raw))


def identity_of(body: object, **fields: Any) -> bytes:
    """Work out the identity of a body."""
    return identity(orjson.dumps(body), **fields)


@given(PAYLOADS, FAILURES, FAILURES, st.sampled_from([{}, {"id": "evt_1"}, {"uuid": 2**60}]), st.randoms())
def test_a_new_failure_leaves_the_identity_alone(
    payload: dict[str, Any], once: dict[str, Any], again: dict[str, Any], ident: dict[str, Any], order: Any
) -> None:
    """Error, attempts and times may change, come and go, and the keys may change places."""
    pairs = list({"type": "t", **payload, **ident, **again}.items())
    order.shuffle(pairs)
    assert identity_of({"type": "t", **payload, **ident, **once}) == identity_of(dict(pairs))


@given(MESSAGES)
def test_the_identity_is_eight_bytes_and_always_the_same(raw: bytes) -> None:
    """Whatever the message."""
    assert identity(raw) == identity(raw)
    assert len(identity(raw)) == len(fingerprint(raw)) == 8


def test_messages_that_differ_have_different_identities() -> None:
    """Type, id and payload count; an id of 5 and a payload of 5 are not the same."""
    bodies = [
        {"type": "a", "id": 5},
        {"type": "b", "id": 5},
        {"type": "a", "id": 6},
        {"type": "a", "payload": 5},
        {"type": "a", "payload": "5"},
        {"type": "a", "payload": {"n": [1, 2]}},
        {"type": "a", "payload": {"n": [2, 1]}},
        {"type": "a"},
    ]
    assert len(set(map(identity_of, bodies))) == len(bodies)


def test_an_id_as_text_and_as_number_is_one_id() -> None:
    """Some systems write it back the other way."""
    assert identity_of({"type": "a", "id": 5}) == identity_of({"type": "a", "id": "5"})


def test_integers_beyond_64_bits_are_told_apart() -> None:
    """A float would round both payloads to the same number; that a long number comes with the error is no matter."""
    one, other = (b'{"type":"a","n":12345678901234567890123%d,"f":1.50}' % last for last in (1, 2))
    assert identity(one) != identity(other)
    failed = one[:-1] + b',"error":"lost 99999999999999999999"}'
    assert identity(failed) == identity(one)
    plain = b'{"type":"a","f":1.50,"m":-0,"g":1e3}'
    assert identity(plain[:-1] + b',"error":"lost 99999999999999999999"}') == identity(plain)


def test_a_payload_deeper_than_it_can_be_written_is_told_apart() -> None:
    """Such messages are read; their payload is walked instead of written."""
    raw = b'{"type":"a","n":' + b"[" * 600 + b"%d" + b"]" * 600 + b"%s}"
    assert identity(raw % (1, b"")) == identity(raw % (1, b',"error":"x"'))
    assert identity(raw % (1, b"")) != identity(raw % (2, b""))


def test_the_walk_tells_structures_apart() -> None:
    """Moving a bracket or a key moves the identity."""
    deep = b"[" * 300 + b"]" * 300
    parts = (b'[[1],2,"a"]', b'[[1,2],"a"]', b'{"b":1,"a":2}', b'{"a":1,"b":2}', b'["a",1,"b",2]', b"[]", b"{}")
    raws = [b'{"type":"a","d":' + deep + b',"n":' + part + b"}" for part in parts]
    assert len(set(map(identity, raws))) == len(raws)
    assert identity(raws[2]) == identity(raws[2].replace(b'"b":1,"a":2', b'"a":2,"b":1'))


def test_a_corrupted_message_is_its_bytes() -> None:
    """Nothing else of it can be trusted."""
    assert identity(b"{") == fingerprint(b"{")
    assert identity(b"[1]") != identity(b"[1] ")


def test_configured_and_volatile_paths_are_left_out() -> None:
    """Deep ones too; what lies beside them counts."""
    fields = {"error": "meta.why", "volatile": ["meta.host", "seen"]}
    first: dict[str, Any] = {"type": "a", "meta": {"why": "x", "host": "h1", "tenant": 1}, "seen": 1}
    again = {"type": "a", "meta": {"tenant": 1, "why": "y"}, "seen": 2, "attempts": 3}
    other = {"type": "a", "meta": {"why": "x", "host": "h1", "tenant": 2}, "seen": 1}
    assert identity_of(first, **fields) == identity_of(again, **fields) != identity_of(other, **fields)
    assert first["meta"] == {"why": "x", "host": "h1", "tenant": 1}


def test_a_volatile_path_may_run_through_an_array() -> None:
    """Its item is left out, and the places of the other items stay what they were."""
    fields = {"volatile": ["tries.0.at", "seen.0", "seen.1", "seen.7", "n.x"]}
    first: dict[str, Any] = {"type": "a", "tries": [{"at": 1, "host": "h"}, {"at": 1}], "seen": [1, 2, 3], "n": 5}
    again = {**first, "tries": [{"at": 2, "host": "h"}, {"at": 1}], "seen": [4, 5, 3]}
    assert identity_of(first, **fields) == identity_of(again, **fields)
    assert first["tries"][0] == {"at": 1, "host": "h"}
    for other in ({"tries": [{"at": 1, "host": "h"}, {"at": 2}]}, {"seen": [1, 2, 4]}, {"seen": [1, 3]}, {"n": 6}):
        assert identity_of({**first, **other}, **fields) != identity_of(first, **fields)


def test_what_has_a_configured_place_is_payload_elsewhere() -> None:
    """A queue that keeps its error in `meta.why` may have a field `reason` that means something else."""
    fields = {"error": "meta.why"}
    assert "reason" in CANDIDATES["error"]
    assert identity_of({"type": "a", "reason": 1}, **fields) != identity_of({"type": "a", "reason": 2}, **fields)
