"""How much is asked for in one call, when messages differ in size."""

import pytest

from dlq.brokers.base import Place, Route
from dlq.brokers.memory import MemoryQueue
from dlq.engine.assess import oldest_first
from dlq.engine.chunks import MAX_BYTES, MAX_MESSAGES, ChunkSize
from dlq.messages.selectors import Selector
from tests.integration.conformance import CONFIG, MemoryDesk

SMALL, HUGE = b'{"type":"webhook"}', b'{"type":"webhook","note":"' + b"x" * 100_000 + b'"}'


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> MemoryDesk:
    """Give a queue that refuses to answer with more than a few times what one call should move."""
    desk, read = MemoryDesk(), MemoryQueue.read

    def checked(queue: MemoryQueue, place: Place, skip: int, count: int) -> object:
        answer = read(queue, place, skip, count)
        assert (
            sum(map(len, answer.result())) <= 7 * MAX_BYTES
        )  # one of six messages that were measured may be the first huge one
        return answer

    monkeypatch.setattr(MemoryQueue, "read", checked)
    return desk


@pytest.mark.parametrize("small", [0, 100, MAX_MESSAGES - 1, MAX_MESSAGES, 2 * MAX_MESSAGES, 2 * MAX_MESSAGES + 100])
@pytest.mark.parametrize("huge", [MAX_MESSAGES // 2, 2 * MAX_MESSAGES])
def test_a_field_of_huge_messages_is_not_read_blindly(desk: MemoryDesk, small: int, huge: int) -> None:
    """Wherever it begins, a pass and an assessment see it before they ask for it."""
    messages = [*[SMALL] * small, *[HUGE] * huge, *[SMALL] * small]
    desk.put(*messages)
    assert sum(map(len, oldest_first(desk.queue, Place.DLQ, len(messages)))) == len(messages)
    desk.run(selector=Selector(corrupted=None))
    assert desk.queue.depth(Place.LIVE) == len(messages)


def test_less_is_asked_for_when_others_take_messages_too() -> None:
    """Half at a time, but not for so few that all of them may be gone; one that asks for fewer anyway stays at that."""
    size = ChunkSize(MemoryQueue(CONFIG), Route().source)
    asked = []
    for _ in range(5):
        asked.append(size.most)
        size.shrink()
    assert asked == [500, 250, 125, 64, 64]
    few = ChunkSize(MemoryQueue(CONFIG), Route().source, limit=7)
    few.shrink()
    assert few.most == 7
