"""Redis reaches its maxmemory in the middle of a drain."""

import pytest

from dlq.errors import BrokerMemoryError
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain, go_on
from tests.chaos.trials import RUN, expected_after
from tests.chaos.truth import World, compare, compare_places, make_messages


@pytest.mark.parametrize("job", [Job(corrupted=None), Job(types=("email.send",), edits=("retryCount=0",))], ids=str)
@pytest.mark.parametrize("room", [0, 40_000], ids=["at once", "a little later"])
def test_a_full_redis_stops_the_drain_and_loses_nothing(room: int, job: Job, own_world: World, judge: Judge) -> None:
    """The drain ends with a named error; with more memory it is resumed to the end."""
    messages = make_messages(3_000, 21)
    own_world.fill(messages)

    def fill_up() -> None:
        own_world.client.config_set("maxmemory", own_world.client.info("memory")["used_memory"] + room)
        ballast = own_world.client.pipeline(transaction=False)
        for number in range(40):
            ballast.setrange(f"ballast:{number}", 2_000, b"x")
        ballast.execute(raise_on_error=False)

    queue = FusedQueue(own_world.config, own_world.url, Fuse("commit-before", 3, fill_up), lock_seconds=30)
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
