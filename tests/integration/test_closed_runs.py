"""A run that was closed or taken back stays so, whoever comes too late: every adapter."""

from collections.abc import Callable, Iterator

import pytest

from dlq.brokers.base import Hold, Place
from dlq.engine.rollback import roll_back
from dlq.engine.run import Request, resume, start
from dlq.errors import BrokerUnreachableError, RunStateError
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace
from tests.integration.conformance import ADAPTERS, CONFIG, Desk, Kind, letter, open_desk

LETTERS = [letter(number) for number in range(60)]
EMAIL = Selector(types=("email",))


@pytest.fixture(params=ADAPTERS)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give a queue with 60 dead letters on each adapter and each server."""
    desk = open_desk(request.param, request)
    desk.put(*LETTERS)
    yield desk
    desk.close()


def before_lock(desk: Desk, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody else act just before the desk's connection takes the lock for the first time."""
    take, acted = desk.queue.acquire, list[bool]()

    def acquire(run_id: str, who: str, *, take_over: bool = False) -> Hold:
        if not acted:
            acted.append(True)
            act()
        return take(run_id, who, take_over=take_over)

    monkeypatch.setattr(desk.queue, "acquire", acquire)


def test_a_run_that_was_taken_back_does_not_rise_again(desk: Desk) -> None:
    """Its process stalled until the lock expired, and somebody rolled the run back: its next attempt is refused."""
    slow = desk.connect(lock_seconds=0.001)
    request = Request(Kind.DRAIN, "ada")
    start(slow, CONFIG, request, "r1").wave(1, 20)
    while slow.holder():
        pass
    desk.undo("r1")
    with pytest.raises(RunStateError, match="rolled back"):
        start(slow, CONFIG, request, "r1")
    assert desk.queue.holder() is None
    assert desk.show(Place.LIVE) == []
    assert sorted(desk.show()) == sorted(LETTERS)
    record = desk.queue.run("r1")
    assert record is not None
    assert record.state == "rolled_back"


def test_a_run_that_was_finished_meanwhile_is_not_resumed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people resume one run: who gets the lock after it was closed is told so, and moves nothing."""
    first = desk.start(selector=EMAIL, limit=20)
    first.wave(1, 10)
    first.abandon("cut off")
    other = desk.connect()

    def finish() -> None:
        again = resume(other, CONFIG, "r1", "bob")
        again.wave(2)
        again.finish()

    before_lock(desk, finish, monkeypatch)
    with pytest.raises(RunStateError, match="nothing to resume"):
        resume(desk.queue, CONFIG, "r1", "ada")
    record = desk.queue.run("r1")
    assert record is not None
    assert (record.state, record.redriven, desk.queue.holder()) == ("done", 20, None)


def test_two_rollbacks_of_one_run_know_of_each_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second began to look before the first was through: what the first took back stays accounted for."""
    desk.run(selector=EMAIL)
    pushed = desk.show(Place.LIVE)

    def undo() -> None:
        roll_back(desk.connect(), CONFIG, "r1", "bob")
        desk.put(*pushed[:5], place=Place.LIVE)  # a producer's, with the very bytes of ours

    before_lock(desk, undo, monkeypatch)
    assert desk.undo().withdrawn == 30  # both called for the same rollback, and are told what it did
    assert desk.show(Place.LIVE) == pushed[:5]
    outcome = desk.outcome()
    assert (outcome.selected, outcome.rolled_back, outcome.unexplained) == (30, 30, 0)


def test_an_answer_to_the_last_word_that_was_lost_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run was closed, its process did not hear it: it looks again, and ends as it had ended."""
    finish, lost = desk.queue.finish, list[bool]()

    def torn(hold: Hold, state: str, fields: dict[str, str]) -> None:
        finish(hold, state, fields)
        if not lost:
            lost.append(True)
            raise BrokerUnreachableError("cut off")

    monkeypatch.setattr(desk.queue, "finish", torn)
    request = Request(Kind.DRAIN, "ada", selector=EMAIL, limit=20)
    record = drive(
        lambda: start(desk.queue, CONFIG, request, "r1"), Pace.unpaced(), list[float]().append, lambda _run, _wave: None
    )
    assert (record.state, record.redriven, desk.queue.holder()) == ("done", 20, None)
    assert len(desk.show(Place.LIVE)) == 20
