"""The one primitive against the plainest statement of it, over any messages, decisions and neighbours."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlq.brokers.base import Batch, Hold, Pending, Place, Receipt, Route
from dlq.brokers.memory import MemoryQueue
from dlq.engine.sift import Sift, Verdict
from dlq.errors import QueueDisturbedError
from tests.integration.conformance import ByLetter, MemoryDesk

FIELDS = {"queue": "webhooks", "kind": "drain", "started_at": "1"}
LETTERS = st.lists(st.binary(min_size=1, max_size=3), max_size=40)
WAVES = st.lists(st.none() | st.integers(0, 12), min_size=1, max_size=5)
SIZES = st.integers(1, 9)


def choose(message: bytes) -> bytes:
    """Decide by the first byte."""
    return b"mkeqdk"[message[0] % 6 :][:1]


def begin(queue: MemoryQueue, most: int, *, read_ahead: bool = True) -> Sift:
    """Begin a pass, or go on with it, in chunks of `most` messages at the most."""
    hold = queue.acquire("r1", "ada", take_over=True)
    record = queue.begin(hold, Route(), 0, FIELDS)
    sift = Sift(queue, hold, Route(), record, ByLetter(choose), read_ahead=read_ahead)
    sift._fitting.most = most
    return sift


@given(LETTERS, WAVES, SIZES, st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_waves_select_the_oldest_that_fit(
    messages: list[bytes],
    waves: list[int | None],
    most: int,
    read_ahead: bool,  # noqa: FBT001 - drawn
    resumed: bool,  # noqa: FBT001 - drawn
) -> None:
    """Whatever the chunks, the read-ahead and the resumes: the first ones fitting move, the rest stay in order."""
    desk = MemoryDesk()
    desk.put(*messages)
    sift = begin(desk.queue, most, read_ahead=read_ahead)  # type: ignore[arg-type]
    selected = 0
    for number, budget in enumerate(waves, 1):
        wave = sift.wave(number, budget)
        selected += wave.selected
        assert budget is None or wave.selected <= budget
        if resumed:
            sift = begin(desk.queue, most, read_ahead=read_ahead)  # type: ignore[arg-type]
    sift.complete()
    fitting = [message for message in messages if choose(message) != b"k"]
    assert selected == (len(fitting) if None in waves else min(len(fitting), sum(filter(None, waves))))
    left = iter(fitting[:selected])
    moved, stayed, coming = [], [], next(left, None)
    for message in messages:
        if coming is not None and message == coming:
            moved.append(message)
            coming = next(left, None)
        else:
            stayed.append(message)
    assert desk.show() == stayed
    live = {b"m": bytes, b"e": lambda message: b"edited:" + message}
    assert desk.show(Place.LIVE) == [live[choose(m)](m) for m in moved if choose(m) in live]
    assert desk.show(Place.QUARANTINE) == [message for message in moved if choose(message) == b"q"]


class Crowded(MemoryQueue):
    """A queue where others push and pop before each commit."""

    neighbours: list[tuple[int, list[bytes]]]
    popped: list[bytes]

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Let the neighbours act first."""
        if self.neighbours:
            count, pushed = self.neighbours.pop()
            dlq = self.store.lists[Place.DLQ]
            for _ in range(min(count, len(dlq))):
                self.popped.append(dlq.pop())
            dlq[:0] = pushed[::-1]
        return super().commit(hold, route, batch)


@given(
    st.integers(0, 40),
    SIZES,
    st.lists(st.tuples(st.integers(0, 4), st.lists(st.just(b"arrived"), max_size=3)), max_size=12),
)
@settings(max_examples=200, deadline=None)
def test_neighbours_cost_no_message(count: int, most: int, neighbours: list[tuple[int, list[bytes]]]) -> None:
    """Others pop and push at both ends meanwhile: every message is somewhere, once, and the ledger agrees."""
    messages = [b"%02d" % number + b"!" for number in range(count)]
    pushed = [message for _, some in neighbours for message in some]
    desk = MemoryDesk()
    queue = Crowded(desk.queue.config, desk.store)
    queue.neighbours, queue.popped = list(neighbours), []
    desk.put(*messages)
    sift = begin(queue, most)
    wave = sift.wave(1)
    sift.complete()
    unused = [message for _, some in queue.neighbours for message in some]
    originals = [text for run in desk.store.runs.values() for text in run.originals.values()]
    plain = [message for message in desk.show(Place.LIVE) if not message.startswith(b"edited:")]
    found = sorted([*desk.show(), *plain, *originals, *queue.popped, *unused])
    assert found == sorted([*messages, *pushed])
    assert wave.selected == sum(map(len, desk.queue.batches("r1"))) == len(plain) + len(originals)


def test_a_queue_that_never_holds_still_is_given_up() -> None:
    """After many refused commits the run ends with an error that names the cause, and nothing has moved."""
    desk = MemoryDesk()
    desk.put(*(b"%d" % number for number in range(100)))
    sift = begin(desk.queue, 10)  # type: ignore[arg-type]

    def refuse(*_given: object) -> Pending[Receipt]:
        class Moved(Pending[Receipt]):
            def result(self) -> Receipt:
                return Receipt(committed=False)

        return Moved()

    desk.queue.commit = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(QueueDisturbedError, match="somebody else"):
        sift.wave(1)
    assert len(desk.show()) == 100


def test_a_verdict_is_cut_after_the_last_message_it_may_select() -> None:
    """Kept messages beyond the budget are not looked at, and edits stay with their messages."""
    verdict = Verdict(b"kmkekq", [b"1", b"2", b"3"], [b"edited"], [0, 1, 2, 3, 4, 5])
    assert verdict.cut(6, 3) == (6, verdict)
    assert verdict.cut(6, 2) == (4, Verdict(b"kmke", [b"1", b"2"], [b"edited"], [0, 1, 2, 3]))
    assert verdict.cut(6, 1) == (2, Verdict(b"km", [b"1"], [], [0, 1]))
    assert verdict.cut(6, 0)[0] == 0
    assert Verdict(b"m", [b"1", b"2"], [], [0, 0]).cut(2, 1) == (1, Verdict(b"m", [b"1"], [], [0]))
