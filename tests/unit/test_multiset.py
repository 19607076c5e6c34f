"""The compact multiset gives each digest out as often as it was put in."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dlq.engine.multiset import DigestSet

DIGESTS = st.lists(st.sampled_from([bytes([n]) * 8 for n in (0, 1, 2, 3, 254, 255)]), max_size=30)


@given(st.lists(DIGESTS, max_size=4), st.lists(st.tuples(st.booleans(), DIGESTS), max_size=6))
def test_it_counts_as_a_counter_does(put: list[list[bytes]], steps: list[tuple[bool, list[bytes]]]) -> None:
    """Takes and puts in any order agree with collections.Counter, digest for digest."""
    digests = DigestSet(b"".join(chunk) for chunk in put)
    inside = Counter(digest for chunk in put for digest in chunk)
    whole = Counter(inside)
    assert len(digests) == inside.total()
    for back, wanted in steps:
        if back:
            taken = whole - inside
            returned = list((Counter(wanted) & taken).elements())
            digests.put_back(b"".join(returned))
            inside += Counter(returned)
        else:
            expected = []
            for digest in wanted:
                expected.append(inside[digest] > 0)
                inside[digest] -= expected[-1]
            assert sorted(zip(wanted, digests.take(b"".join(wanted)).tolist(), strict=True)) == sorted(
                zip(wanted, expected, strict=True)
            )
        assert digests.left == inside.total()


def test_an_empty_one_gives_nothing() -> None:
    """Neither nothing nor something can be had from it."""
    digests = DigestSet(())
    assert digests.take(b"x" * 16).tolist() == [False, False]
    assert digests.take(b"").tolist() == []
    assert (len(digests), digests.left) == (0, 0)


def test_what_was_never_put_in_cannot_be_put_back() -> None:
    """Putting back more than was taken changes nothing."""
    digests = DigestSet([b"a" * 8])
    digests.put_back(b"a" * 8 + b"z" * 8)
    assert digests.take(b"a" * 16 + b"z" * 8).tolist() == [True, False, False]


def test_equal_digests_are_no_slower_than_others() -> None:
    """A hundred thousand equal ones go out chunk by chunk; a walk past all that are out already would take minutes."""
    count, chunk = 100_000, 500
    digests = DigestSet([b"a" * 8 * count])
    for _ in range(count // chunk):
        assert digests.take(b"a" * 8 * chunk).all()
    assert not digests.take(b"a" * 8).any()
    assert (digests.left, digests.rest()) == (0, [])
    digests.put_back(b"a" * 16)
    assert digests.rest() == [b"a" * 8] * 2
    assert digests.surplus([b"a" * 24]) == b"a" * 8
