"""Two drains want the same queue."""

import pytest

from dlq.errors import LockedError, LockLostError
from dlq.records.ledger import RunRecord
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain
from tests.chaos.trials import RUN, expected_after
from tests.chaos.truth import Expected, World, compare_places, make_messages

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
@pytest.mark.parametrize("look", ["different", "alike"])
def test_a_rival_after_an_expired_lock_fences_the_first_off(look: str, step: str, world: World, judge: Judge) -> None:
    """The first slept too long, and what it sends then does nothing; among messages alike only the fence can tell."""
    messages = [b'{"type":"alike"}'] * 3_000 if look == "alike" else make_messages(3_000, 42)
    world.fill(messages)
    rival = FusedQueue(world.config, world.url, Fuse())
    rivals: list[RunRecord] = []
    mine: list[RunRecord | None] = []

    def oversleep() -> None:
        world.client.delete(*world.client.keys("dlq-drain:*:lock"))
        rivals.append(drain(rival, Job(corrupted=None, max_batches=1), RIVAL, who="the second"))
        mine.append(rival.run(RUN))  # on a connection with nothing else under way

    first = FusedQueue(world.config, world.url, Fuse(step, 2, oversleep), lock_seconds=30)
    with pytest.raises(LockLostError, match=RUN):
        drain(first, JOB, RUN, who="the first")
    record, then = rival.run(RUN), mine[0]
    first.close()
    rival.close()
    assert record is not None
    assert then is not None
    moved = record.selected + rivals[0].selected
    judge(compare_places(world, Expected(messages[moved:], messages[:moved]), moved))
    assert record.selected == then.selected, "the first moved messages after the rival had the queue"
