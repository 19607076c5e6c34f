"""Thousands of seeded worlds: what an adaptive drain may cost, and how long it may take, whatever the truth is."""

import os

import pytest

from tests.simulation.outcomes import LIMIT, Outcome, outcome
from tests.worlds import World, avoidable, drain, make

WORLDS = int(os.environ.get("DLQ_WORLDS", "2000"))
PART = 100


@pytest.mark.parametrize("first", range(0, WORLDS, PART))
def test_worlds(first: int) -> None:
    """In each world all of what this file promises holds."""
    for seed in range(first, min(first + PART, WORLDS)):
        seen = outcome(seed)
        no_more_bounces_than_a_canary_and_a_wave(seen.world)
        nothing_healthy_is_stopped_and_all_poison_is(seen.world)
        limits_are_kept(seen.world)
        if seen.end == "done":
            no_slower_than_half_again_one_that_knows_the_truth(seen)


def test_chance_seldom_lengthens_a_drain() -> None:
    """Where outcomes are a matter of chance, so is their proof: 99 of 100 drains are no slower than half again."""
    done = [seen for seen in map(outcome, range(WORLDS)) if seen.end == "done"]
    assert sum(seen.careful > LIMIT for seen in done) <= len(done) / 100


@pytest.mark.parametrize("first", range(0, WORLDS // 10, PART))
def test_a_new_process_at_any_step_changes_nothing(first: int) -> None:
    """With nothing but the stored state the drain goes on exactly as if nothing had happened."""
    for seed in range(first, first + PART):
        told, again = outcome(seed), make(seed)
        end = drain(again, kill=0.3).action.value
        assert (told.end, told.world.waves, told.world.stopped) == (end, again.waves, again.stopped), seed


def no_more_bounces_than_a_canary_and_a_wave(world: World) -> None:
    """Of each signature, sent while its rate was over the limit: a canary, and as much as was ever on its way."""
    for key in world.truths:
        most = world.limits.canary(world.selection) + world.widest[key]
        assert avoidable(world, key) <= most, (world.seed, key)


def nothing_healthy_is_stopped_and_all_poison_is(world: World) -> None:
    """Go on at a rate of a twentieth at most; stop one of nine tenths from the start."""
    for key, truth in world.truths.items():
        if max(truth.before, truth.after) <= 0.05:
            assert key not in world.stopped, (world.seed, key)
        if min(truth.before, truth.after) >= 0.9 and world.sent[key] >= 10:
            assert key in world.stopped, (world.seed, key)


def limits_are_kept(world: World) -> None:
    """No wave makes the live queue longer than its ceiling, and a capped rate holds on the average."""
    assert world.longest <= world.limits.ceiling, world.seed
    if world.limits.rate:
        burst = max(world.limits.canary(world.selection), world.limits.rate)
        assert world.sent.total() <= world.limits.rate * world.now + burst + 1, world.seed


def no_slower_than_half_again_one_that_knows_the_truth(seen: Outcome) -> None:
    """At most 1.5 times as long as one that must see it first, and where there is work for it, as one that need not."""
    assert seen.careful <= (LIMIT if seen.certain else 2.0), seen.world.seed
    if seen.mixed and seen.work >= 10:
        assert seen.free <= LIMIT, seen.world.seed
