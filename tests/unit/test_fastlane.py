"""The bulk way through a chunk."""

import uuid

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlq.config.settings import FieldConfig
from dlq.messages.envelope import EnvelopeReader
from dlq.messages.fastlane import Entries, Fastlane
from dlq.messages.identity import Identifier, fingerprint
from dlq.messages.signatures import SignatureBook
from tests.strategies import MESSAGES

CONFIGS = [
    FieldConfig(),
    FieldConfig(error="error", id="uuid", volatile=("payload",)),
    FieldConfig(type="event", error="error.message", error_class="error.class", id="meta.id"),
]
SCHEMA = {"properties": {"attempts": {"maximum": 5}}}


def slowly(config: FieldConfig, messages: list[bytes], schema: dict[str, object] | None = None) -> Entries:
    """Ask reader, book and identifier one message at a time."""
    reader, identifier, book = EnvelopeReader(config, schema), Identifier(config), SignatureBook()
    envelopes = [reader.read(raw) for raw in messages]
    return Entries(
        [envelope.corruption is not None for envelope in envelopes],
        [book.code(envelope) for envelope in envelopes],
        [fingerprint(raw) for raw in messages],
        [identifier.identity(envelope) for envelope in envelopes],
    )


def lane(config: FieldConfig, schema: dict[str, object] | None = None) -> Fastlane:
    """Make a lane with an empty book."""
    return Fastlane(EnvelopeReader(config, schema), Identifier(config), SignatureBook())


def chunk(*bodies: object) -> list[bytes]:
    """Write bodies as messages."""
    return list(map(orjson.dumps, bodies))


@given(st.lists(MESSAGES, max_size=12), st.sampled_from(CONFIGS), st.sampled_from([None, SCHEMA]))
@settings(max_examples=250)
def test_the_fast_lane_says_what_the_slow_way_says(
    messages: list[bytes], config: FieldConfig, schema: dict[str, object] | None
) -> None:
    """For new shapes and for those that were met before, in the order of the messages."""
    # The same messages again, and with other digits, drive through what the first round learnt.
    other_digits = [raw.translate(bytes.maketrans(b"12345678", b"87654321")) for raw in messages]
    messages = messages + messages[::-1] + other_digits
    fast = lane(config, schema)
    expected = slowly(config, messages, schema)
    halves = [fast.entries(messages[: len(messages) // 2]), fast.entries(messages[len(messages) // 2 :])]
    assert Entries(*(one + other for one, other in zip(*halves, strict=True))) == expected


@pytest.mark.parametrize(
    "messages",
    [
        chunk({"type": "t", "error": "E1: x 1"}, {"type": "t", "error": "E2: x 2"}),
        chunk({"type": "t", "error": "A::B1: x"}, {"type": "t", "error": "A::B2: x"}),
        chunk({"type": "t", "error": "a b1: x"}, {"type": "t", "error": "a b2: x"}),
        chunk({"type": "t", "error": ""}, {"type": "t"}, {"type": "t", "error": ""}),
        chunk({"type": "t", "error": "x"}, {"type": "t", "error": None}, {"type": "t", "error": {"message": "x"}}),
        chunk({"type": "t", "error": "", "last_error": "y"}, {"type": "t", "error": "x", "last_error": "y"}),
        chunk({"type": 1}, {"type": True}, {"type": 1.0}, {"type": "1"}, {"type": None}),
        chunk({"type": "t", "id": 1}, {"type": "t", "id": True}, {"type": "t", "id": "1"}, {"type": "t", "id": ""}),
        chunk({"type": "t", "error_class": "E1", "error": "x"}, {"type": "t", "error_class": "E2", "error": "x"}),
        chunk({"type": "t", "error_class": "", "error": "E: x"}, {"type": "t", "error_class": "E", "error": "x"}),
        chunk({"type": "t", "error_class": "E"}, {"type": "t", "error": "E"}, {"type": "t", "error": "E:"}),
        chunk({"type": "t", "id": "a"}, ["type", "id"], "ti", {"id": "a", "type": "t"}),
        chunk({"type": "t", "error": "x" * 1_500 + "1"}, {"type": "t", "error": "x" * 1_500 + "2"}),
        chunk({"type": "t" * 300, "error": "1"}, {"type": "t" * 300, "error": "2"}),
        chunk(*({"type": "t", "error": f"Traceback (most recent call last):\n1\nE{n}: x"} for n in (1, 2))),
        [b'{"type":"t","id":1%030d}' % n for n in (1, 2)],
    ],
    ids=range(16),
)
def test_shapes_and_texts_that_look_alike_are_told_apart(messages: list[bytes]) -> None:
    """Each message goes through twice in each order, so that each meets what the others left in the caches."""
    messages = messages * 2 + messages[::-1]
    fast = lane(FieldConfig())
    assert fast.entries(messages) == slowly(FieldConfig(), messages)


@given(st.lists(MESSAGES, max_size=12), st.sets(st.integers(1, 6)))
def test_what_is_unwanted_is_read_as_far_as_its_code(messages: list[bytes], unwanted: set[int]) -> None:
    """Corruption and codes are the same; the rest is the same or, where the code is unwanted and was known, empty."""
    messages = messages + messages
    found = lane(FieldConfig()).entries(messages, unwanted.__contains__)
    expected = slowly(FieldConfig(), messages)
    assert (found.corrupted, found.codes) == (expected.corrupted, expected.codes)
    for column, whole in ((found.fingerprints, expected.fingerprints), (found.identities, expected.identities)):
        for code, one, other in zip(expected.codes, column, whole, strict=True):
            assert one == other or (code in unwanted and not one)


def test_an_empty_chunk_has_no_entries() -> None:
    """And is no error."""
    assert lane(FieldConfig()).entries([]) == ([], [], [], [])


def test_the_usual_message_takes_the_fast_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first of its kind no envelope is built."""
    kinds: list[list[dict[str, object]]] = [
        [{"id": f"e{n}", "type": "t", "error": f"TimeoutError: after {100 + n} ms"} for n in range(9)],
        [{"id": n, "type": "t", "error": f"order {100 + n}: lost"} for n in range(9)],
        [{"id": f"e{n}", "event": "t"} for n in range(9)],
        [{"event": "t", "error_class": "E", "error": f"lost {n}"} for n in range(9)],
        [{"event": "t", "error": f"E: no row {uuid.uuid4()} of '{n * 'x'}'"} for n in range(9)],
    ]
    fast = lane(FieldConfig())
    fast.entries(chunk(*(bodies[0] for bodies in kinds)))
    monkeypatch.setattr(EnvelopeReader, "read", None)
    for code, bodies in enumerate(kinds, start=1):
        assert fast.entries(chunk(*bodies)).codes == [code] * 9


def test_many_shapes_and_texts_do_not_fill_the_memory() -> None:
    """The caches of the lane are bounded."""
    fast = lane(FieldConfig())
    fast.entries(chunk(*({"type": "t", f"k{n}": 1} for n in range(2_000))))
    fast.entries(chunk(*({"type": "t", "error": "".join(map(chr, (97 + n // 676, 97 + n // 26 % 26, 97 + n % 26)))}
                         for n in range(17_000))))  # fmt: skip
    assert len(fast._lanes._lanes) <= 1_024
    assert len(fast._lanes._codes) <= 8_192
