"""Redis goes away in the middle of a drain and comes back with what it had on disk."""

import pytest

from dlq.embedded.redis import EmbeddedRedis
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain, go_on
from tests.chaos.trials import RUN, expected_after
from tests.chaos.truth import World, compare_places, make_messages


@pytest.mark.parametrize("step", ["read-before", "decide-after", "commit-sent", "reply-after"])
@pytest.mark.parametrize("way", ["killed", "restarted"])
def test_a_drain_goes_on_after_redis_came_back(
    way: str, step: str, own_server: EmbeddedRedis, own_world: World, judge: Judge
) -> None:
    """Whatever reached the disk counts, and the ledger knows what did."""
    messages, others = make_messages(3_000, 11), make_messages(200, 12)
    job = Job(types=("order.created", "email.send"))
    own_world.fill(messages, others)

    def fall() -> None:
        (own_server.kill if way == "killed" else own_server.stop)()
        own_server.start()

    queue = FusedQueue(own_world.config, own_world.url, Fuse(step, 3, fall), lock_seconds=30)
    record = drain(queue, job, RUN)
    queue.close()
    assert queue.fuse.seen >= 3
    assert record.state == "done"
    judge(compare_places(own_world, expected_after(job, messages, others), record.selected))


def test_a_run_is_resumed_after_the_drainer_gave_up_on_redis(
    own_server: EmbeddedRedis, own_world: World, judge: Judge
) -> None:
    """The ledger outlives both the server and the process."""
    messages = make_messages(3_000, 13)
    job = Job(corrupted=None)
    own_world.fill(messages)

    def fall() -> None:
        own_server.kill()
        raise KeyboardInterrupt

    queue = FusedQueue(own_world.config, own_world.url, Fuse("commit-sent", 3, fall), lock_seconds=30)
    with pytest.raises(KeyboardInterrupt):
        drain(queue, job, RUN)
    own_server.start()
    record = go_on(queue, RUN)
    queue.close()
    judge(compare_places(own_world, expected_after(job, messages, []), record.selected))
