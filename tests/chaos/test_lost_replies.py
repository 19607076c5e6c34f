"""The command ran, its answer never came."""

import pytest

from dlq.brokers.base import REDRIVE, Batch, Place, Route
from dlq.brokers.redis_list import RedisListQueue
from dlq.engine.rollback import roll_back
from dlq.errors import BrokerUnreachableError
from dlq.records.ledger import entry_prefix, fingerprint
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, drain
from tests.chaos.proxy import LossyProxy, script_name
from tests.chaos.trials import JOBS, RUN, expected_after
from tests.chaos.truth import Counts, Expected, World, compare_places, make_messages


@pytest.mark.parametrize("script", ["acquire", "begin", "commit", "finish", "release"])
def test_a_drain_survives_a_lost_answer(script: str, world: World, judge: Judge) -> None:
    """The drain connects again and goes on by its ledger, without doing the batch twice."""
    for seed, job in enumerate(JOBS[:2]):
        messages = make_messages(3_000, seed)
        world.fill(messages)
        with LossyProxy(world.url) as proxy:
            queue = FusedQueue(world.config, proxy.url, Fuse(), lock_seconds=30)
            proxy.lose(script_name(script), 2 if script == "commit" else 1)
            try:
                drain(queue, job, RUN)
            except BrokerUnreachableError:
                assert script == "release"
            queue.close()
            assert proxy.lost == 1
        _check_done(world, judge, messages, seed)


def _check_done(world: World, judge: Judge, messages: list[bytes], number: int) -> None:
    queue = RedisListQueue(world.config, world.url)
    record = queue.run(RUN)
    queue.close()
    assert record is not None
    assert record.state == "done"
    judge(compare_places(world, expected_after(JOBS[number], messages, []), record.selected))


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_rollback_survives_a_lost_answer(nth: int, world: World, judge: Judge) -> None:
    """The rollback fails, and repeated it goes on where it stopped."""
    messages, others = make_messages(3_000, 5), make_messages(500, 6)
    world.fill(messages, others)
    with LossyProxy(world.url) as proxy:
        queue = FusedQueue(world.config, proxy.url, Fuse(), lock_seconds=30)
        drain(queue, JOBS[1], RUN)
        proxy.lose(script_name("commit"), nth)
        with pytest.raises(BrokerUnreachableError):
            roll_back(queue, world.config, RUN, "chaos")
        assert proxy.lost == 1
        roll_back(queue, world.config, RUN, "chaos")
        queue.close()
    judge(compare_places(world, Expected(messages, others), 0))


def test_the_same_batch_sent_again_is_done_once(world: World, judge: Judge) -> None:
    """The batch id alone decides: all messages are alike, so nothing else could tell."""
    messages = [b'{"type":"alike"}'] * 300
    world.fill(messages)
    entry = entry_prefix(REDRIVE, 0) + fingerprint(messages[0]) + bytes(8)
    batch = Batch(1, 1, 100, messages[:100], REDRIVE, entry * 100)
    with LossyProxy(world.url) as proxy:
        queue = RedisListQueue(world.config, proxy.url)
        hold = queue.acquire(RUN, "chaos")
        queue.begin(hold, Route(), 0, {"queue": world.config.name, "kind": "drain"})
        proxy.lose(script_name("commit"), 1)
        with pytest.raises(BrokerUnreachableError):
            queue.commit(hold, Route(), batch).result()
        receipt = queue.commit(hold, Route(), batch).result()
        assert (receipt.repeated, receipt.scanned, receipt.selected) == (True, 100, 100)
        assert (queue.depth(Place.DLQ), queue.depth(Place.LIVE)) == (200, 100)
        queue.close()
    counts: Counts = compare_places(world, Expected(messages[:200], messages[:100]), 100)
    judge(counts)
