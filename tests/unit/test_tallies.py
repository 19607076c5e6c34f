"""The counts of a run by stretches of waves."""

import json

from dlq.pacing.tallies import Tallies


def filled(waves: int, size: int = 10) -> Tallies:
    """Give the tallies of many waves, folded after each, of which the last two are in the live queue still."""
    tallies = Tallies()
    for wave in range(1, waves + 1):
        tallies.waves[str(wave)] = {"a": [size, size, 0], "b": [1, 1, 0]}
        tallies.fold({wave, wave - 1})
    return tallies


def test_stretches_stay_few_and_lose_nothing() -> None:
    """A thousand waves are some thirty stretches, and the totals are what they were."""
    tallies = filled(1_000)
    assert len(tallies.waves) < 40
    assert (tallies.sent, tallies.gone) == ({"a": 10_000, "b": 1_000}, {"a": 10_000, "b": 1_000})
    assert Tallies(**json.loads(json.dumps(tallies.as_dict()))) == tallies


def test_a_stretch_begins_near_any_moment() -> None:
    """However long ago something changed: what was counted since is at most twice what came since."""
    firsts = [wave for wave, _ in filled(1_000).stretches]
    for changed in range(1, 1_000):
        begins = max(first for first in firsts if first <= changed)
        assert 1_000 - begins + 1 <= 2 * (1_000 - changed + 1), changed


def test_what_is_on_its_way_stays_apart() -> None:
    """A wave of which something is in the live queue is added to no other one."""
    assert [wave for wave, _ in filled(1_000).stretches][-2:] == [999, 1_000]


def test_a_late_bounce_counts_for_the_stretch_of_its_wave() -> None:
    """Wave 500 is no longer counted by itself; its bounce is counted once, where it belongs."""
    tallies = filled(1_000)
    tallies.bounce(500, "a")
    begins = max(wave for wave, _ in tallies.stretches if wave <= 500)
    assert dict(tallies.stretches)[begins]["a"][1] == sum(tallies.bounced.values()) == 1
