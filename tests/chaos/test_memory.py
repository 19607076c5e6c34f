"""Redis reaches its maxmemory in the middle of a drain."""

import pytest

from dlq.errors import BrokerMemoryError
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain, go_on
from tests.chaos.trials import RUN, expected_after
from tests.chaos.truth import World, compare, compare_places, make_messages


@pytest.mark.parametrize("job", [Job(corrupted=None), Job(types=("email.send",), edits=("retryCount=0",))], ids=str)
@pytest.mark.parametrize("commit", [3, 5], ids=["early", "a little later"])
def test_a_full_redis_stops_the_drain_and_loses_nothing(commit: int, job: Job, own_world: World, judge: Judge) -> None:
    """The drain ends with a named error; with more memory it is resumed to the end."""
    messages = make_messages(3_000, 21)
    own_world.fill(messages)

    def fill_up() -> None:
        # Well below what is used: what clients give back of their buffers must not make room again.
        own_world.client.config_set("maxmemory", own_world.client.info("memory")["used_memory"] // 2)

    queue = FusedQueue(own_world.config, own_world.url, Fuse("commit-before", commit, fill_up), lock_seconds=30)
    with pytest.raises(BrokerMemoryError, match="maxmemory"):
        drain(queue, job, RUN)
    record = queue.run(RUN)
    assert record is not None
    if not job.edits:  # an edited message is another one
        judge(compare(own_world, messages, record.selected))
    assert own_world.client.llen(own_world.config.dlq) == len(messages) - record.redriven
    assert own_world.client.llen(own_world.config.live) == record.redriven
    own_world.client.config_set("maxmemory", 0)
    record = go_on(queue, RUN)
    queue.close()
    judge(compare_places(own_world, expected_after(job, messages, []), record.selected))
