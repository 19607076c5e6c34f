"""Signatures and their codes."""

import random
import tracemalloc
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlq.config.settings import FieldConfig
from dlq.errors import LedgerError
from dlq.messages.blanking import LONGEST, blank, blank_short, reduce, shorten
from dlq.messages.envelope import Envelope, EnvelopeReader
from dlq.messages.signatures import OTHERS, Signature, SignatureBook, signature_of
from tests.strategies import ERROR_TEXTS, MESSAGES

READER = EnvelopeReader(FieldConfig())


def failed(error: str, kind: str = "webhook", error_class: str = "TimeoutError") -> Envelope:
    """Make the envelope of a healthy message that failed."""
    return Envelope(b"", {}, kind, error_class, error, None, None, None, None)


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        ("payment-gateway timed out after 3021 ms", "payment-gateway timed out after # ms"),
        ("took 1,200.5 s, limit -3", "took # s, limit #"),
        ("rates 6.02914432e-05 and 1.23456789e21", "rates # and #"),
        ("order ord_4711 of tenant 9", "order ord_# of tenant #"),
        ("no row 8f14e45f-ceea-467f-a0e6-1b2c3d4e5f60", "no row <id>"),
        ("commit 3f786850e387550fdab836ed7e6dc881de23001b", "commit <id>"),
        ("at 0x7FFDE00a and deadbeef", "at <id> and deadbeef"),
        ("charge ch_3MmlLrLkdIwHu7ix0snN0B15 failed", "charge <id> failed"),
        ("pod jobs-7f9c6d5b48-x2x4q gone", "pod jobs-<id> gone"),
        ("Base64DecodingException and sha256", "Base#DecodingException and sha#"),
        ("key 'tenant' of \"a 'b' c\" and `x`", "key <text> of <text> and <text>"),
        ("can't reach the user's host", "can't reach the user's host"),
        ("GET https://api.example/v1/42?q=1 said 503", "GET <url> said #"),
        ("refused by 10.0.0.1:5432", "refused by <host>"),
        ("refused by [::1]:6379", "refused by <host>"),
        ("refused by redis:6379", "refused by <host>"),
        ("lookup db-3.internal failed", "lookup <host> failed"),
        ("lookup api.stripe.com:443 failed", "lookup <host> failed"),
        ("requests.exceptions.ConnectTimeout", "requests.exceptions.ConnectTimeout"),
        ("mail to jo.doe+x@mail.example bounced", "mail to <mail> bounced"),
        ("late since 2026-01-31T10:00:00.123Z", "late since <time>"),
        ("  two\n lines\t here ", "two lines here"),
        ("", ""),
    ],
    ids=range(23),
)
def test_what_varies_is_blanked(text: str, blanked: str) -> None:
    """Numbers, ids, quotes, addresses and times go; the words stay."""
    assert blank(text) == blanked


@given(ERROR_TEXTS | st.text(max_size=300))
@settings(max_examples=250)
def test_blanking_twice_is_blanking_once(text: str) -> None:
    """A blanked text is its own blank, short, and without digits."""
    once = blank(text)
    assert blank(once) == once
    assert len(once) <= LONGEST
    assert not any(digit in once for digit in "0123456789")


@given(ERROR_TEXTS, ERROR_TEXTS)
def test_texts_with_equal_reductions_have_equal_blanks(one: str, other: str) -> None:
    """This is what makes the reduction a key to cache by."""
    other = other if reduce(one) == reduce(other) else one.translate(str.maketrans("123456789", "987654321"))
    assert reduce(one) == reduce(other)
    assert blank(one) == blank(other)


@given(ERROR_TEXTS)
@settings(max_examples=300)
def test_shortening_twice_is_shortening_once(text: str) -> None:
    """So a short text is a key to cache by too; both ways lead to the same blank."""
    short = shorten(reduce(text))
    assert shorten(short) == short
    assert blank_short(short) == blank(text)
    assert blank(short.decode()) == blank(text)


def test_long_texts_are_blanked_quickly() -> None:
    """Text made to send a regular expression back and forth costs no more than milliseconds."""
    for part in ("a.", "a-", "1.", "a@", "'", '"', "x1y2z3", "::", "a1-", "http://", "[:", "0a:"):
        assert len(blank(part * 100_000)) <= LONGEST


def test_a_signature_reads_well_and_has_a_stable_key() -> None:
    """The key lies in ledgers, so it may never change."""
    signature = signature_of(failed("payment-gateway timed out after 3021 ms"))
    assert str(signature) == "webhook · TimeoutError: payment-gateway timed out after # ms"
    assert signature.key == Signature(*signature).key == "385df882"


def test_a_corrupted_message_is_signed_by_its_reason() -> None:
    """All messages that are corrupted for the same reason are one failure type."""
    assert str(signature_of(READER.read(b"{"))) == "(no type) · corrupted: invalid JSON"
    assert signature_of(READER.read(b"{")) == signature_of(READER.read(b"[1"))


def test_only_the_first_line_of_an_error_counts() -> None:
    """Stack traces differ from host to host."""
    assert signature_of(failed("boom\n at line 5")) == signature_of(failed("boom\n at other"))


@given(st.lists(MESSAGES, max_size=20))
def test_the_code_of_a_message_stands_for_its_signature(messages: list[bytes]) -> None:
    """Whatever the cache holds, the code leads to the signature that the message has."""
    book = SignatureBook()
    for envelope in map(READER.read, messages):
        assert book.signature(book.code(envelope)) == signature_of(envelope)


def test_codes_count_from_one_and_new_ones_are_handed_out_once() -> None:
    """The ledger gets each signature one time."""
    book = SignatureBook()
    codes = [book.code(failed(text)) for text in ("slow after 5 ms", "lost", "slow after 71 ms")]
    assert codes == [1, 2, 1]
    assert [code for code, _ in book.drain_new()] == [1, 2]
    assert book.drain_new() == []
    book.code(failed("new"))
    assert [(code, signature.text) for code, signature in book.drain_new()] == [(3, "new")]
    assert book.key(3) == book.signature(3).key


def test_a_loaded_book_goes_on_with_the_codes_of_the_ledger() -> None:
    """A resumed run gives the same codes, and does not write them again."""
    first = SignatureBook()
    first.code(failed("slow"))
    first.code(failed("lost"))
    second = SignatureBook()
    second.load({code: list(signature) for code, signature in first.drain_new()})
    assert [second.code(failed(text)) for text in ("lost", "slow", "new")] == [2, 1, 3]
    assert [code for code, _ in second.drain_new()] == [3]


def test_a_ledger_that_contradicts_the_book_is_refused() -> None:
    """One code cannot stand for two signatures, nor a code for none."""
    book = SignatureBook()
    book.code(failed("slow"))
    with pytest.raises(LedgerError):
        book.load({1: ("other", "", "")})
    with pytest.raises(LedgerError):
        book.signature(9)


def test_a_full_book_calls_the_rest_others() -> None:
    """The ledger has two bytes for a code."""
    book = SignatureBook()
    book.load({65_535: ("t", "", "last")})
    assert book.code(failed("one more")) == 0
    assert book.signature(0) == OTHERS
    assert book.code(failed("last", "t", "")) == 65_535
    assert book.drain_new() == []


def test_many_distinct_texts_do_not_fill_the_memory() -> None:
    """Ids or words in the error text may make each message's text its own; the cache stays small."""
    book = SignatureBook()
    source = random.Random(1)
    tracemalloc.start()
    try:
        for _ in range(12_000):
            book.code(failed(f"no row {uuid.UUID(int=source.getrandbits(128))} after {source.random()} s"))
        for number in range(12_000):
            letters = "".join(chr(97 + number // 26**place % 26) for place in range(4))
            book.code(failed("no room " * 30 + letters))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 4_000_000
    assert len(book._cache) <= 8_192
    assert [signature.text[:21] for signature in book.signatures().values()] == [
        "no row <id> after # s",
        "no room no room no ro",
    ]
