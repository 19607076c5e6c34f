"""Thousands of seeded worlds: what an adaptive drain may cost, and how long it may take, whatever the truth is."""

import os
from math import log2

import pytest

from tests.worlds import World, avoidable, drain, make, oracle_seconds

WORLDS = int(os.environ.get("DLQ_WORLDS", "2000"))
PART = 100


def drained(seed: int, kill: float = 0.0) -> tuple[World, str]:
    """Drain a world; return it, and how that ended."""
    world = make(seed)
    return world, drain(world, kill=kill).action.value


@pytest.mark.parametrize("first", range(0, WORLDS, PART))
def test_worlds(first: int) -> None:
    """In each world all of what this file promises holds."""
    for seed in range(first, min(first + PART, WORLDS)):
        world, end = drained(seed)
        no_more_bounces_than_a_canary_and_a_wave(world)
        nothing_healthy_is_stopped_and_all_poison_is(world)
        limits_are_kept(world)
        if end == "done":
            no_slower_than_half_again_the_oracle(world)


@pytest.mark.parametrize("first", range(0, WORLDS // 10, PART))
def test_a_new_process_at_any_step_changes_nothing(first: int) -> None:
    """With nothing but the stored state the drain goes on exactly as if nothing had happened."""
    for seed in range(first, first + PART):
        told, again = drained(seed), drained(seed, kill=0.3)
        assert (told[1], told[0].waves, told[0].stopped) == (again[1], again[0].waves, again[0].stopped), seed


def no_more_bounces_than_a_canary_and_a_wave(world: World) -> None:
    """Of each signature, sent while its rate was over the limit: a canary, and as much as was on its way at once."""
    most = world.limits.canary(world.selection) + world.widest
    for key in world.truths:
        # A signature may be unlucky: at half the messages bouncing, a canary of ten proves nothing yet.
        slack = 1.0 if world.truths[key].rate(world.now) > 0.8 else 1.25
        assert avoidable(world, key) <= most * slack, (world.seed, key)


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


def no_slower_than_half_again_the_oracle(world: World) -> None:
    """At most 1.5 times as long as one who knows the truth, and for a short drain the ramp of each signature.

    Each time the failures of another cause begin, their canary and its ramp are waited for: once in a mixed queue,
    once a signature where they lie one after the other.
    """
    round_ = world.limits.grace + 2 * world.limits.look
    ramp = (log2(max(2.0, world.speed * round_ / world.limits.canary(world.selection))) + 2) * round_
    work = oracle_seconds(world) - world.limits.grace
    ramps = len(world.sent) if world.queue == sorted(world.queue) else int(work < 10 * world.limits.grace)
    assert world.now <= 1.5 * oracle_seconds(world) + ramps * ramp, world.seed
