"""Since when something fails, what its text speaks of, and how its messages differ."""

from random import Random

import pytest

from dlq.diagnosis.families import Family, family_of, subject_of
from dlq.diagnosis.onset import onset
from dlq.diagnosis.shapes import drifts, shape

START = 29_000_000  # a minute


@pytest.mark.parametrize("seed", range(5))
def test_the_beginning_of_a_burst_after_noise(seed: int) -> None:
    """Within a minute or two, with noise before and a decline after."""
    rng = Random(seed)
    counts = {START + minute: 1 for minute in range(600) if rng.random() < 0.05}
    for minute in range(420, 480):
        counts[START + minute] = rng.randrange(15, 25)
    found = onset(counts)
    assert found is not None
    assert found.sudden
    assert abs(found.at.timestamp() / 60 - (START + 420)) <= 1


def test_a_failure_that_is_new_begins_with_its_first_message() -> None:
    """Others were there for hours, it was not."""
    found = onset({START + 100: 30, START + 101: 40}, looked_from=START)
    assert found is not None
    assert (found.sudden, found.before) == (True, 0)
    assert found.at.timestamp() / 60 == START + 100


def test_a_trickle_has_no_beginning() -> None:
    """A message now and then is not a beginning."""
    found = onset({START: 1, START + 300: 1, START + 700: 1})
    assert found is not None
    assert not found.sudden


def test_nothing_has_no_onset() -> None:
    """Messages that do not say when they failed have none."""
    assert onset({}) is None


@pytest.mark.parametrize(
    ("error_class", "text", "family", "subject"),
    [
        ("TimeoutError", "payment-gateway timed out after # ms", Family.DEPENDENCY, "payment-gateway"),
        ("ConnectionError", "connection to ledger-api refused", Family.DEPENDENCY, "ledger-api"),
        ("HTTPError", "429 Too Many Requests from crm-api", Family.RATE_LIMIT, "crm-api"),
        ("OperationalError", "deadlock detected", Family.DATABASE, ""),
        ("KeyError", "currency", Family.CODE, ""),
        ("corrupted", "invalid JSON", Family.CORRUPTION, ""),
        ("corrupted", "schema: $.payload.amount: type", Family.SCHEMA, ""),
        ("ValidationError", "amount is not of type <text>", Family.SCHEMA, ""),
        ("WorkerLost", "worker exited: SIGKILL", Family.MEMORY, ""),
        ("OSError", "No space left on device", Family.DISK, ""),
        ("AuthError", "token expired", Family.CREDENTIALS, ""),
        ("TimeoutError", "job exceeded its time limit", Family.SLOW, ""),
        ("Oops", "something", Family.OTHER, ""),
    ],
)
def test_families(error_class: str, text: str, family: Family, subject: str) -> None:
    """Usual error texts are told apart, and the other system is named."""
    assert family_of(error_class, text) is family
    if subject:
        assert subject_of(text) == subject


def test_a_field_that_changed_its_kind() -> None:
    """Is told first, then what is missing, then what is new; the failure's own fields are left out."""
    before = [shape({"error": 1, "amount": n, "order": {"id": "a", "old": 1}}) for n in range(20)]
    after = [shape({"error": "x", "amount": str(n), "order": {"id": "a", "new": 1}}) for n in range(20)]
    assert [drift.summary for drift in drifts(after, before, {"error"})] == [
        "field `amount` became a string, it was a number",
        "field `order.old` is missing",
        "field `order.new` is new",
    ]


def test_a_few_messages_are_no_evidence() -> None:
    """Nothing is said about the form of four messages."""
    assert drifts([{"a": "a string"}] * 4, [{"a": "a number"}] * 100, set()) == []


def test_a_shape_is_bounded() -> None:
    """A message with a thousand fields, or nested a thousand deep, costs no more than others."""
    assert len(shape({str(number): number for number in range(1_000)})) == 200
    deep: dict[str, object] = {}
    for _ in range(1_000):
        deep = {"a": deep}
    assert len(shape(deep)) <= 8
