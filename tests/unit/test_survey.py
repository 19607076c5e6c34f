"""The bulk count of a DLQ is equal to reading each message."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dlq.config.settings import QueueConfig
from dlq.messages.reading import Reading
from dlq.messages.survey import Survey
from tests.strategies import MESSAGES

CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
PIECES = st.sampled_from(
    [
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":3}',
        b'{"type":"a","error":"E1: x 22","failedAt":"2026-11-23T00:00:07Z","attempts":3}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":true}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":"3"}',
        b'{"type":"a","error":"E1: x 1","failedAt":1790000000,"attempts":3}',
        b'{"type":"a","error":"E1: x 1","failedAt":"soon","attempts":3}',
        b'{"type":"a","error":{"class":"E1","message":"x 1"},"failedAt":"2026-11-23T00:00:00Z","attempts":3}',
        b'{"type":1,"error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":3}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-02-30T00:00:00Z","attempts":3}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23 00:00:00.125+02:00","attempts":3}',
        b'{"type":"a","error":"E1: x 1","failedAt":"1969-11-23T00:00:00Z","attempts":3}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":18446744073709551615}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":1e300}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":-4}',
        b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z"}',
        b'{"type":"a","error":"E: \\u0000","failedAt":null,"timestamp":1790000000,"attempts":3}',
        b'{"type":"b"}',
        b'{"type":"b"},{"type":"b"}',
        b"[]",
        b"",
        b"\xff",
    ]
)


def counted_by_hand(messages: list[bytes]) -> dict[Any, Any]:
    """Read each message by itself, and count: what is known of each signature."""
    reading = Reading.of(CONFIG)
    counts: dict[Any, Any] = {}
    for raw in messages:
        envelope = reading.reader.read(raw)
        signature = reading.book.signature(reading.book.code(envelope))
        seen = counts.setdefault(signature, {"count": 0, "attempts": -1, "times": [], "minutes": Counter()})
        seen["count"] += 1
        seen["attempts"] = max(seen["attempts"], -1 if envelope.attempts is None else envelope.attempts)
        if envelope.failed_at is not None:
            seen["times"].append(envelope.failed_at)
            seen["minutes"][int(envelope.failed_at // 60)] += 1
    return counts


@given(st.lists(st.lists(PIECES | MESSAGES, max_size=12), max_size=4))
def test_the_survey_counts_what_the_reader_reads(chunks: list[list[bytes]]) -> None:
    """Signature, moments and attempts of every message are the reader's, whatever was met before."""
    survey = Survey(Reading.of(CONFIG))
    for chunk in chunks:
        survey.add(chunk)
    found = {survey.reading.book.signature(code): seen for code, seen in survey.counts().items()}
    expected = counted_by_hand([raw for chunk in chunks for raw in chunk])
    assert found.keys() == expected.keys()
    for signature, seen in found.items():
        by_hand = expected[signature]
        assert (seen.count, seen.attempts, seen.minutes) == (by_hand["count"], by_hand["attempts"], by_hand["minutes"])
        assert seen.first == min(by_hand["times"], default=float("inf"))
        assert seen.last == max(by_hand["times"], default=float("-inf"))


def test_counts_asked_for_in_between_go_on() -> None:
    """Asking settles what came so far; what comes later is added."""
    survey = Survey(Reading.of(CONFIG))
    piece = b'{"type":"a","error":"E1: x 1","failedAt":"2026-11-23T00:00:00Z","attempts":3}'
    for expected in (250, 500):
        survey.add([piece] * 250)
        assert [seen.count for seen in survey.counts().values()] == [expected]


def test_a_histogram_of_many_minutes_gets_coarser() -> None:
    """Older minutes are put together by the hour; no message is lost from it."""
    survey = Survey(Reading.of(CONFIG))
    minutes = [b'{"type":"a","failedAt":%d}' % (1_790_000_000 + 60 * number) for number in range(6_000)]
    survey.add(minutes)
    (seen,) = survey.counts().values()
    assert len(seen.minutes) < 5_000
    assert seen.minutes.total() == 6_000
