"""Somebody replaces a list of the queue by a key of another type."""

import pytest

from dlq.errors import WrongKeyTypeError
from tests.chaos.conftest import Judge
from tests.chaos.drainer import Fuse, FusedQueue, Job, drain, go_on
from tests.chaos.trials import RUN, expected_after
from tests.chaos.truth import World, compare, compare_places, make_messages

ASIDE = "chaos:aside"


@pytest.mark.parametrize("step", ["read-before", "decide-after", "commit-before", "commit-sent", "wave-end"])
def test_a_live_key_of_another_type_stops_the_drain(step: str, world: World, judge: Judge) -> None:
    """The drain ends with a named error, nothing lost; with the key repaired it is resumed to the end."""
    messages, others = make_messages(3_000, 31), make_messages(200, 32)
    job = Job(types=("order.created", "email.send"))
    world.fill(messages, others)

    def replace() -> None:
        world.client.rename(world.config.live, ASIDE)
        world.client.set(world.config.live, "not a list")

    queue = FusedQueue(world.config, world.url, Fuse(step, 2, replace))
    with pytest.raises(WrongKeyTypeError) as refused:
        drain(queue, job, RUN)
    record = queue.run(RUN)
    assert record is not None
    assert record.state == "stopped"
    assert world.client.get(world.config.live) == b"not a list"
    world.client.delete(world.config.live)
    world.client.rename(ASIDE, world.config.live)
    judge(compare(world, messages + others, record.selected))
    assert world.config.live in str(refused.value)
    record = go_on(queue, RUN)
    queue.close()
    judge(compare_places(world, expected_after(job, messages, others), record.selected))


def test_a_quarantine_of_another_type_stops_the_run(world: World, judge: Judge) -> None:
    """The same holds for the quarantine."""
    messages = make_messages(3_000, 33)
    job = Job(kind="quarantine", types=("email.send",))
    world.fill(messages)
    world.client.set(world.config.quarantine, "not a list")
    queue = FusedQueue(world.config, world.url, Fuse())
    with pytest.raises(WrongKeyTypeError, match=world.config.quarantine):
        drain(queue, job, RUN)
    world.client.delete(world.config.quarantine)
    record = go_on(queue, RUN)
    queue.close()
    judge(compare_places(world, expected_after(job, messages, []), record.selected))
