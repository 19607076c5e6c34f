"""The test that stops a signature: exact tails, and how often it is wrong although it looks at every message."""

import random
from math import comb, log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlq.pacing.evidence import evidence, is_over, lower_bound, tail


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 0.99))
def test_tails_are_the_binomial_ones(hits: int, trials: int, chance: float) -> None:
    """They are what the definition sums up to."""
    truth = sum(comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(hits, trials + 1))
    assert tail(hits, trials, chance) == pytest.approx(truth, rel=1e-9, abs=1e-12)


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.05, 0.9))
def test_the_bet_is_the_mean_of_all_bets_above_the_limit(hits: int, more: int, limit: float) -> None:
    """Its logarithm is that of the likelihood ratio, averaged evenly over the rates above the limit."""
    trials, steps = hits + more, 4_000
    assume(hits > trials * limit)  # elsewhere nobody asks
    rates = [limit + (1 - limit) * (i + 0.5) / steps for i in range(steps)]
    mean = sum((r / limit) ** hits * ((1 - r) / (1 - limit)) ** more for r in rates) / steps
    assert evidence(hits, trials, limit) == pytest.approx(log(mean), abs=0.02)


def test_looking_at_each_message_is_wrong_no_more_often_than_alpha() -> None:
    """Of 1,000 signatures with a rate just at the limit, looked at 300 times each, about a hundredth is stopped."""
    rng = random.Random(1)
    stopped = 0
    for _ in range(1_000):
        hits = 0
        for trials in range(1, 301):
            hits += rng.random() < 0.2
            if is_over(hits, trials, 0.2, 0.01):
                stopped += 1
                break
    assert stopped <= 20


@pytest.mark.parametrize(
    ("hits", "trials", "over"),
    [(2, 5, False), (3, 3, False), (4, 4, True), (6, 10, False), (9, 12, True), (29, 100, False), (40, 100, True)],
)
def test_a_few_messages_prove_little(hits: int, trials: int, over: bool) -> None:  # noqa: FBT001 - drawn
    """Two of five say nothing about a limit of a fifth; four of four do, and so do forty of a hundred."""
    assert is_over(hits, trials, 0.2, 0.01) is over


def test_the_bound_is_where_the_test_turns() -> None:
    """Just under the bound the rate is surely over, just above it is not; without a bounce nothing is sure."""
    bound = lower_bound(40, 100, 0.01)
    assert is_over(40, 100, bound - 0.001, 0.01)
    assert not is_over(40, 100, bound + 0.001, 0.01)
    assert lower_bound(0, 100, 0.01) == 0.0
