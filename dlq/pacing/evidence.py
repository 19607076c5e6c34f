"""When is a bounce rate surely over its limit? A test that may be repeated at every look.

`hits` of `trials` bounced. The evidence is a bet that the rate lies somewhere above the limit (evenly), against the
bet that it is at the limit: by how much would the first have won? While the rate is at most the limit, the chance that
it has ever won more than 1/alpha, however often one looks, is at most alpha (Ville's inequality). The rates that are
not refuted in this way are a one-sided confidence interval which holds at all looks together.

Robbins, "Statistical methods related to the law of the iterated logarithm", 1970; Howard, Ramdas, McAuliffe, Sekhon,
"Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SMALL = 1e-16
_STEPS = 20  # halvings of an interval of length 1


def is_over(hits: int, trials: int, limit: float, alpha: float) -> bool:
    """Say whether the rate is surely over the limit; over all looks, wrong with a chance of `alpha` at most."""
    return hits > trials * limit and evidence(hits, trials, limit) >= -log(alpha)


def evidence(hits: int, trials: int, limit: float) -> float:
    """Give the logarithm of how much a bet on a rate above the limit has won."""
    above = 1.0 - tail(hits + 1, trials + 1, limit)
    if above <= 0.0:
        return float("-inf")
    won = lgamma(hits + 1) + lgamma(trials - hits + 1) - lgamma(trials + 2) + log(above) - log1p(-limit)
    return won - hits * log(limit) - (trials - hits) * log1p(-limit)


def is_under(hits: int, trials: int, limit: float, alpha: float) -> bool:
    """Say whether the rate is surely under the limit; over all looks, wrong with a chance of `alpha` at most."""
    if hits >= trials * limit:
        return False
    below = tail(hits + 1, trials + 1, limit)
    won = lgamma(hits + 1) + lgamma(trials - hits + 1) - lgamma(trials + 2) + log(below) - log(limit)
    return won - hits * log(limit) - (trials - hits) * log1p(-limit) >= -log(alpha)


def lower_bound(hits: int, trials: int, alpha: float) -> float:
    """Give the rate that the true one is surely above: the lower end of the interval with confidence 1 - alpha."""
    low, high = 0.0, hits / trials if trials else 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if is_over(hits, trials, middle, alpha):
            low = middle
        else:
            high = middle
    return low


def tail(hits: int, trials: int, chance: float) -> float:
    """Give the probability of `hits` or more among `trials`, each with the same chance (0 to 1, both excluded)."""
    if hits <= 0:
        return 1.0
    if hits > trials:
        return 0.0
    odds = chance / (1.0 - chance)
    if hits > trials * chance:
        return _sum(_mass(hits, trials, chance), ((trials - k) / (k + 1) * odds for k in range(hits, trials)))
    down = (k / (trials - k + 1) / odds for k in range(hits - 1, 0, -1))
    return 1.0 - _sum(_mass(hits - 1, trials, chance), down)


def _mass(hits: int, trials: int, chance: float) -> float:
    choose = lgamma(trials + 1) - lgamma(hits + 1) - lgamma(trials - hits + 1)
    return exp(choose + hits * log(chance) + (trials - hits) * log1p(-chance))


def _sum(first: float, ratios: Iterator[float]) -> float:
    """Add up terms, each the one before times a ratio, until they no longer count."""
    total = term = first
    for ratio in ratios:
        term *= ratio
        total += term
        if term < total * _SMALL:
            break
    return min(1.0, total)
