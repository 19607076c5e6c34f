"""What adaptive drains cost and how long they take in seeded worlds; `python -m tests.simulation.outcomes` prints it.

A time is compared with two that know the truth: `free` needs no proof and keeps the consumers always busy; `careful`
sends no more than a canary before outcomes are known, in order. Both wait for the grace time of their last message.
"""

import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tests.worlds import World, careful_seconds, drain, make, oracle_seconds

LIMIT = 1.5
_WORK = ((1.0, "under 1"), (3.0, "1 to 3"), (10.0, "3 to 10"), (float("inf"), "over 10"))


@dataclass(frozen=True)
class Outcome:
    """How a drain of a world ended, and how many times as long it took as one that knows the truth."""

    world: World
    end: str
    free: float
    careful: float
    work: float
    """How many grace times the consumers need for what was sent."""
    mixed: bool
    """Whether the failures of several causes lie among each other."""
    certain: bool
    """Whether all outcomes of a signature are the same: then chance does not lengthen the proof."""


@cache
def outcome(seed: int) -> Outcome:
    """Drain a world to its end."""
    world = make(seed)
    end = drain(world).action.value
    free = oracle_seconds(world)
    seen = Outcome(
        world,
        end,
        free=world.now / free,
        careful=world.now / careful_seconds(world),
        work=free / world.limits.grace - 1,
        mixed=world.queue != sorted(world.queue) or len(world.truths) == 1,
        certain=all(rate in {0.0, 1.0} for truth in world.truths.values() for rate in (truth.before, truth.after)),
    )
    world.queue, world.passed = [], []  # thousands of worlds are remembered
    return seen


def table(outcomes: Iterable[Outcome]) -> str:
    """Render median, 95th percentile and maximum of both ratios, by the order of the failures and the work."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        if one.end == "done":
            work = next(name for most, name in _WORK if one.work < most)
            groups["mixed" if one.mixed else "one after another", work].append(one)
    lines = [f"{'causes lie':18}{'work/grace':>11}{'drains':>8}{'of careful: median 95th max':>30}{'of free':>20}"]
    for order in ("mixed", "one after another"):
        for _, work in _WORK:
            group = groups[order, work]
            if group:
                careful, free = _spread([one.careful for one in group]), _spread([one.free for one in group])
                lines.append(f"{order:18}{work:>11}{len(group):>8}{careful:>30}{free:>20}")
    return "\n".join(lines)


def _spread(ratios: list[float]) -> str:
    ratios = sorted(ratios)
    return f"{statistics.median(ratios):.2f}  {ratios[int(0.95 * len(ratios))]:.2f}  {ratios[-1]:.2f}"


def main(worlds: int) -> None:
    """Print the distribution over so many worlds."""
    outcomes = [outcome(seed) for seed in range(worlds)]
    done = [one for one in outcomes if one.end == "done"]
    over = sum(one.careful > LIMIT for one in done)
    certain = sum(one.certain and one.careful > LIMIT for one in done)
    sys.stdout.write(
        f"{table(outcomes)}\n{len(done):,} of {worlds:,} drains ended, the others were stopped as a whole;"
        f" {over} took more than {LIMIT} x careful, {certain} of those without chance\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
