"""The drainer is killed with SIGKILL, and so is who resumes it; DLQ_CHAOS_KILLS says how often."""

import os
import random
from itertools import repeat

from tests.chaos.conftest import Judge
from tests.chaos.drainer import DRAIN_STEPS, ROLLBACK_STEPS
from tests.chaos.trials import any_moment, step_by_step, until_killed
from tests.chaos.truth import World

KILLS = int(os.environ.get("DLQ_CHAOS_KILLS", "12"))
_SEED = 7


def _share(part: float) -> int:
    return max(1, round(KILLS * part))


def test_a_drain_survives_a_kill_at_each_step(world: World, judge: Judge) -> None:
    """Whatever step the drainer and its resumers die at, every message lies where it should, once."""
    rng = random.Random(_SEED)
    deaths = step_by_step(DRAIN_STEPS, rng)
    until_killed(world, judge, _share(0.4), deaths, rolled_back=False)


def test_a_drain_survives_kills_at_any_moment(world: World, judge: Judge) -> None:
    """A timer kills the drainer and its resumers wherever they are."""
    rng = random.Random(_SEED + 1)
    until_killed(world, judge, _share(0.25), repeat(any_moment(0.12, rng)), rolled_back=False)


def test_a_rollback_survives_a_kill_at_each_step(world: World, judge: Judge) -> None:
    """A rollback that is killed and repeated puts every message back, once."""
    rng = random.Random(_SEED + 2)
    deaths = step_by_step(ROLLBACK_STEPS, rng)
    until_killed(world, judge, _share(0.25), deaths, rolled_back=True)


def test_drain_and_rollback_survive_kills_at_any_moment(world: World, judge: Judge) -> None:
    """A timer kills the rollback and its repetitions."""
    rng = random.Random(_SEED + 3)
    until_killed(world, judge, _share(0.1), repeat(any_moment(0.12, rng)), rolled_back=True)
