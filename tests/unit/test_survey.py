"""The bulk count of a DLQ is equal to reading each message."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dlq.reading import Reading
from dlq.settings import QueueConfig
from dlq.survey import Survey

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
        b'{"type":"b"}',
        b"[]",
        b"",
        b"\xff",
    ]
)


@given(st.lists(st.lists(PIECES, max_size=12), max_size=4))
def test_the_survey_counts_what_the_reader_reads(chunks: list[list[bytes]]) -> None:
    """Signature, moment and attempts of every message are the reader's, whatever was met before."""
    survey, plain = Survey(Reading.of(CONFIG)), Reading.of(CONFIG)
    counted: Counter[tuple[object, ...]] = Counter()
    expected: Counter[tuple[object, ...]] = Counter()
    for chunk in chunks:
        for (code, when, attempts), count in survey.count(chunk)[0].items():
            counted[survey.reading.book.signature(code), when, attempts] += count
        for raw in chunk:
            envelope = plain.reader.read(raw)
            expected[plain.book.signature(plain.book.code(envelope)), envelope.failed_at, envelope.attempts] += 1
    assert counted == expected
