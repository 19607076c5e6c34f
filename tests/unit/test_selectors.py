"""Which messages a run works on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dlq.config.settings import FieldConfig
from dlq.errors import BadArgumentError
from dlq.messages.envelope import Envelope, EnvelopeReader
from dlq.messages.selectors import Selector
from dlq.messages.signatures import OTHERS, Signature, signature_of
from tests.strategies import MESSAGES

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
READER = EnvelopeReader(FieldConfig())
HEALTHY: dict[str, Any] = {
    "type": "webhook",
    "error": "TimeoutError: gateway timed out after 30 ms",
    "attempts": 3,
    "failed_at": "2026-01-31T10:00:00Z",
    "status": "open",
    "n": 1,
    "order": {"id": "4711", "paid": True, "tags": ["a", 1]},
}
CORRUPTED = b"{"


def envelope_of(**changes: object) -> Envelope:
    """Read the healthy message, changed."""
    return READER.read(orjson.dumps({**HEALTHY, **changes}))


def selects(selector: Selector, envelope: Envelope) -> bool:
    """Ask by signature and by key; both must agree, and so must what is said of the signature alone."""
    signature = signature_of(envelope)
    answer = selector.matches(envelope, signature)
    assert selector.model_copy().matches(envelope, signature.key) is answer
    assert selector.by_signature(signature, corrupted=envelope.corruption is not None) in (answer, None)
    return answer


def test_by_default_all_healthy_messages_are_selected() -> None:
    """Corrupted ones stay in the DLQ unless they are asked for."""
    assert selects(Selector(), envelope_of())
    assert not selects(Selector(), READER.read(CORRUPTED))
    assert Selector().everything
    assert not Selector().is_everything


@pytest.mark.parametrize(("corrupted", "healthy", "broken"), [(None, True, True), (True, False, True)])
def test_corrupted_messages_are_selected_when_asked_for(*, corrupted: bool | None, healthy: bool, broken: bool) -> None:
    """Alone, or with the healthy ones."""
    selector = Selector(corrupted=corrupted)
    assert selects(selector, envelope_of()) is healthy
    assert selects(selector, READER.read(CORRUPTED)) is broken
    assert selector.is_everything is (corrupted is None)
    assert not selector.everything


@pytest.mark.parametrize(
    "asked",
    [
        {"types": ["webhook"]},
        {"error": ""},
        {"attempts_min": 0},
        {"older_than": timedelta(0), "now": NOW},
        {"newer_than": timedelta(days=999), "now": NOW},
        {"where": ["a!=1"]},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_what_is_asked_about_content_never_selects_a_corrupted_message(asked: dict[str, Any]) -> None:
    """Nothing that is read out of it can be trusted; a healthy one is selected by each of these."""
    schema = {"properties": {"attempts": {"maximum": 2}}}
    broken = EnvelopeReader(FieldConfig(), schema).read(orjson.dumps(HEALTHY))
    assert broken.type == "webhook"
    for corrupted in (None, True):
        assert not selects(Selector(corrupted=corrupted, **asked), broken)
        assert not selects(Selector(corrupted=corrupted, **asked), READER.read(CORRUPTED))
    assert selects(Selector(**asked), envelope_of())


def test_types_are_compared_whole() -> None:
    """One of several is enough."""
    assert selects(Selector(types=("email", "webhook")), envelope_of())
    assert not selects(Selector(types=("web",)), envelope_of())
    assert selects(Selector(types=("t" * 300,)), envelope_of(type="t" * 300))
    assert not selects(Selector(types=("t" * 301,)), envelope_of(type="t" * 300))


def test_signatures_are_named_by_key_text_or_beginning_of_the_key() -> None:
    """A beginning has at least four characters; one signature of several is enough."""
    signature = signature_of(envelope_of())
    for said in (signature.key, signature.key[:4], signature.text, str(signature)):
        assert selects(Selector(signatures=("none", said)), envelope_of())
    for said in (signature.key[:3], "ffffffff", "gateway"):
        assert not selects(Selector(signatures=(said,)), envelope_of())
    broken = READER.read(CORRUPTED)
    assert selects(Selector(signatures=(signature_of(broken).key,), corrupted=True), broken)


def test_signatures_are_resolved_to_full_keys() -> None:
    """None and several are refused before anything moves."""
    known = [Signature("t", "", str(number)) for number in range(2_000)]
    by_beginning: dict[str, list[str]] = {}
    for signature in known:
        by_beginning.setdefault(signature.key[:4], []).append(signature.key)
    single = next(beginning for beginning, keys in by_beginning.items() if len(keys) == 1)
    double = next(beginning for beginning, keys in by_beginning.items() if len(keys) > 1)
    resolved = Selector(signatures=(single, known[0].key, "t · 1")).resolve(known)
    assert resolved.signatures == (by_beginning[single][0], known[0].key, known[1].key)
    with pytest.raises(BadArgumentError, match="names several"):
        Selector(signatures=(double,)).resolve(known)
    with pytest.raises(BadArgumentError, match="not among"):
        Selector(signatures=("nothing",)).resolve(known)


def test_the_error_is_searched_in_class_and_text() -> None:
    """And in no more than 2,000 characters of it."""
    for pattern in ("^TimeoutError: gateway", "(?i)TIMED OUT", r"\d+ ms$"):
        assert selects(Selector(error=pattern), envelope_of())
    assert not selects(Selector(error="refused"), envelope_of())
    assert not selects(Selector(error="end"), envelope_of(error="x" * 3_000 + "end"))


@pytest.mark.parametrize("pattern", ["(", "a{9999999999999}", "(?P<a"])
def test_a_bad_regular_expression_is_refused(pattern: str) -> None:
    """When the selector is made, not at the first message."""
    with pytest.raises(BadArgumentError, match="regular expression"):
        Selector(error=pattern)


@pytest.mark.parametrize(
    ("age", "older", "newer"),
    [(timedelta(hours=1), True, False), (timedelta(hours=2), True, True), (timedelta(hours=3), False, True)],
)
def test_ages_count_from_the_moment_of_the_run(age: timedelta, *, older: bool, newer: bool) -> None:
    """The message failed two hours before; whoever resumes later asks with the same moment."""
    assert selects(Selector(older_than=age, now=NOW), envelope_of()) is older
    assert selects(Selector(newer_than=age, now=NOW), envelope_of()) is newer
    later = Selector(older_than=age, now=NOW).at(NOW + timedelta(hours=1))
    assert selects(later, envelope_of())


def test_a_message_of_unknown_age_or_attempts_is_not_selected_by_them() -> None:
    """Neither as old nor as new."""
    unknown = envelope_of(failed_at=None, attempts=None)
    assert not selects(Selector(older_than=timedelta(0), now=NOW), unknown)
    assert not selects(Selector(newer_than=timedelta(days=999), now=NOW), unknown)
    assert not selects(Selector(attempts_min=0), unknown)


def test_attempts_are_at_least() -> None:
    """The message had three."""
    assert selects(Selector(attempts_min=3), envelope_of())
    assert not selects(Selector(attempts_min=4), envelope_of())


def test_all_conditions_must_hold() -> None:
    """They are joined by and."""
    assert selects(Selector(where=("status=open", "n=1")), envelope_of())
    assert not selects(Selector(where=("status=open", "n=2")), envelope_of())


@pytest.mark.parametrize(
    "asked",
    [{"older_than": timedelta(hours=1)}, {"newer_than": timedelta(hours=1)}, {"older_than": -timedelta(1), "now": NOW}],
)
def test_ages_need_a_moment_and_are_not_negative(asked: dict[str, Any]) -> None:
    """A selector looks at no clock."""
    with pytest.raises(BadArgumentError):
        Selector(**asked)


@pytest.mark.parametrize("asked", [{"tpyes": ["a"]}, {"attempts_min": -1}, {"signatures": [""]}, {"where": 5}])
def test_what_is_no_selector_is_refused(asked: dict[str, Any]) -> None:
    """Unknown names above all: they would select too much."""
    with pytest.raises(ValidationError):
        Selector.model_validate(asked)


def test_what_was_typed_becomes_a_selector() -> None:
    """Ages are durations or timestamps, conditions are texts."""
    typed = Selector.of(NOW, types=["webhook"], older_than="90m", newer_than="2026-01-31T09:00Z", where=["n=1"])
    assert (typed.older_than, typed.newer_than, typed.now) == (timedelta(minutes=90), timedelta(hours=3), NOW)
    assert selects(typed, envelope_of())
    assert Selector.of(NOW).everything


SELECTORS = st.builds(
    Selector,
    types=st.lists(st.sampled_from(["webhook", "email", "t"]), max_size=2),
    signatures=st.lists(st.sampled_from(["abcd", "boom", signature_of(envelope_of()).key]), max_size=2),
    error=st.sampled_from([None, "time", "^$", r"\d"]),
    older_than=st.none() | st.timedeltas(timedelta(0), timedelta(days=9)),
    newer_than=st.none() | st.timedeltas(timedelta(0), timedelta(days=9)),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
    attempts_min=st.none() | st.integers(0, 5),
    where=st.lists(st.sampled_from(["n=1", "status!=open", r"a\.b=[1]"]), max_size=2),
    corrupted=st.sampled_from([None, True, False]),
)


@given(SELECTORS, MESSAGES | st.just(orjson.dumps(HEALTHY)))
def test_a_selector_out_of_the_ledger_selects_the_same(selector: Selector, raw: bytes) -> None:
    """It goes through JSON when a run is resumed."""
    again = Selector.model_validate(orjson.loads(orjson.dumps(selector.model_dump(mode="json"))))
    envelope = READER.read(raw)
    assert again == selector
    assert selects(again, envelope) is selects(selector, envelope)
    assert "\n" not in selector.describe()


def test_messages_beyond_the_codes_of_the_ledger_are_looked_at_one_by_one() -> None:
    """Their common code says nothing about them."""
    signature = signature_of(envelope_of())
    selector = Selector(signatures=(signature.key,))
    assert selector.by_signature(OTHERS, corrupted=False) is None
    assert selector.matches(envelope_of(), OTHERS)
    assert not selector.matches(envelope_of(error="x"), OTHERS)


def test_the_description_is_one_line_for_people() -> None:
    """It stands in confirmations and reports."""
    selector = Selector(types=("a", "b"), older_than=timedelta(hours=36), now=NOW, attempts_min=2, where=("n=1",))
    assert selector.describe() == (
        "healthy messages of type a or b, failed at least 1d12h ago, after 2 attempts or more, where n=1"
    )
    assert Selector(corrupted=None).describe() == "all messages"
