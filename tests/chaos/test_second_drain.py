"""Two drains want the same queue."""

import pytest

from dlq.errors import LockedError, LockLostError
from dlq.ledger import RunRecord
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain
from tests.chaos.trials import RUN, expected_after
from tests.chaos.truth import World, compare_places, make_messages

RIVAL = "jobs-chaos-2"
JOB = Job(corrupted=None)


def test_a_second_drain_is_refused_while_the_first_works(world: World, judge: Judge) -> None:
    """The refusal says who holds the queue; the first goes on undisturbed."""
    messages = make_messages(3_000, 41)
    world.fill(messages)
    rival = FusedQueue(world.config, world.url, Fuse())
    refusals: list[str] = []

    def try_too() -> None:
        with pytest.raises(LockedError) as refused:
            drain(rival, JOB, RIVAL, who="the second")
        refusals.append(str(refused.value))

    first = FusedQueue(world.config, world.url, Fuse("wave-end", 2, try_too), lock_seconds=30)
    record = drain(first, JOB, RUN, who="the first")
    first.close()
    assert RUN in refusals[0]
    assert "the first" in refusals[0]
    assert rival.run(RIVAL) is None
    rival.close()
    judge(compare_places(world, expected_after(JOB, messages, []), record.selected))


@pytest.mark.parametrize("step", ["read-before", "decide-after", "commit-before", "commit-sent", "wave-end"])
def test_a_rival_after_an_expired_lock_fences_the_first_off(step: str, world: World, judge: Judge) -> None:
    """The first slept too long: what it sends from then on does nothing, and it is told who has the queue."""
    messages = make_messages(3_000, 42)
    world.fill(messages)
    rival = FusedQueue(world.config, world.url, Fuse())
    records: list[RunRecord] = []

    def oversleep() -> None:
        world.client.delete(*world.client.keys("dlq-drain:*:lock"))
        records.append(drain(rival, JOB, RIVAL, who="the second"))

    first = FusedQueue(world.config, world.url, Fuse(step, 2, oversleep), lock_seconds=30)
    with pytest.raises(LockLostError, match=RUN):
        drain(first, JOB, RUN, who="the first")
    mine = first.run(RUN)
    assert mine is not None
    first.close()
    rival.close()
    assert mine.selected + records[0].selected == len(messages)
    judge(compare_places(world, expected_after(JOB, messages, []), mine.selected + records[0].selected))
