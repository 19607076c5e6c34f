"""What a rollback takes back, what it leaves alone, and what it goes on with: every adapter."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from dlq.brokers.base import Batch, Hold, Place, Route
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind
from dlq.errors import BadArgumentError, BrokerUnreachableError, LockedError, RunNotFoundError
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from tests.integration.conformance import ADAPTERS, CONFIG, Desk, is_of, letter, open_desk

LETTERS = [letter(number) for number in range(60)]
WEBHOOKS, EMAILS = ([message for message in LETTERS if is_of(kind, message)] for kind in ("webhook", "email"))
EMAIL = Selector(types=("email",))
TWIN = letter(3, note="twin")
RESET = Edit(set=("retryCount=0",))


@pytest.fixture(params=ADAPTERS)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give a queue with 60 dead letters on each adapter and each server."""
    desk = open_desk(request.param, request)
    desk.put(*LETTERS)
    yield desk
    desk.close()


class Cut(Exception):  # noqa: N818 - it is not an error of the program
    """The process ends here."""


def cut_after(desk: Desk, commits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a number of commits through, then end the process."""
    through, left = desk.queue.commit, [commits]

    def commit(hold: Hold, route: Route, batch: Batch) -> Any:
        if not left[0]:
            raise Cut
        left[0] -= 1
        return through(hold, route, batch)

    monkeypatch.setattr(desk.queue, "commit", commit)


def test_a_selective_drain_is_undone_to_the_byte_and_in_order(desk: Desk) -> None:
    """The oldest is consumed first again: what came back stands before what was kept."""
    desk.run(selector=EMAIL)
    assert desk.undo().withdrawn == 30
    assert desk.show() == [*EMAILS, *WEBHOOKS]
    assert desk.show(Place.LIVE) == []


def test_identical_twins_each_go_back_as_often_as_they_were_moved(desk: Desk) -> None:
    """Three of ours and two of a producer's with the very same bytes: three go back, two stay."""
    desk.put(TWIN, TWIN, TWIN)
    desk.put(TWIN, letter(900), place=Place.LIVE)
    desk.run()
    desk.put(letter(901), TWIN, place=Place.LIVE)
    assert desk.undo().withdrawn == 63
    assert desk.show().count(TWIN) == 3
    assert desk.show(Place.LIVE) == [TWIN, letter(900), letter(901), TWIN]


def test_of_twins_ours_goes_back_whichever_is_older(desk: Desk) -> None:
    """A producer's older and newer twins of our first, a middle and our last message keep their places."""
    some = [LETTERS[0], LETTERS[30], LETTERS[59]]
    for message in some:
        desk.put(message, letter(900), place=Place.LIVE)
    desk.run(wave=20)
    for message in some:
        desk.put(letter(901), message, place=Place.LIVE)
    before = [message for message in desk.show(Place.LIVE) if message not in LETTERS or message in some]
    undone = desk.undo()
    assert (undone.withdrawn, undone.out_of_reach) == (60, 0)
    assert desk.show() == LETTERS
    assert desk.show(Place.LIVE) == [*before[:6], *before[9:]]


def test_a_twin_whose_neighbours_are_gone_goes_back_all_the_same(desk: Desk) -> None:
    """A batch of one message has none: as many go back as are ours, and no more."""
    desk.put(*LETTERS[:3], place=Place.LIVE)
    desk.run(wave=1, limit=3)
    assert desk.undo().withdrawn == 3
    assert sorted(desk.show()) == sorted(LETTERS)
    assert sorted(desk.show(Place.LIVE)) == sorted(LETTERS[:3])
    assert desk.outcome().unexplained == 0


def test_producers_messages_keep_their_order(desk: Desk) -> None:
    """Before, between and after ours: what producers pushed is consumed in the order in which they pushed it."""
    desk.put(letter(901), letter(902), place=Place.LIVE)
    run = desk.start()
    run.wave(1, 20)
    desk.put(letter(903), letter(904), place=Place.LIVE)
    run.wave(2)
    run.finish()
    desk.put(letter(905), place=Place.LIVE)
    desk.undo()
    assert desk.show(Place.LIVE) == [letter(number) for number in range(901, 906)]
    assert desk.show() == LETTERS


def test_what_workers_took_is_reported_and_left_alone(desk: Desk) -> None:
    """Half is consumed: the other half comes back, and the ledger has both numbers."""
    desk.run()
    assert desk.take(25) == LETTERS[:25]
    undone = desk.undo()
    assert (undone.withdrawn, undone.out_of_reach, undone.again) == (35, 25, 0)
    assert desk.show() == LETTERS[25:]
    outcome = desk.outcome()
    assert (outcome.delivered, outcome.rolled_back, outcome.unexplained) == (25, 35, 0)


def test_edited_messages_get_their_own_originals(desk: Desk) -> None:
    """Different originals that an edit made equal come back each once, with a half of them consumed."""
    same = [letter(500, retryCount=number) for number in range(1, 5)]
    desk.put(*same)
    desk.run(edit=RESET)
    assert len(set(desk.show(Place.LIVE)[-4:])) == 1
    desk.take(62)
    undone = desk.undo()
    assert (undone.withdrawn, undone.out_of_reach) == (2, 62)
    assert len(set(desk.show())) == 2
    assert set(desk.show()) <= set(same)


def test_a_quarantine_and_a_discard_are_undone_once(desk: Desk) -> None:
    """Both give all they took back, in order; strangers in the quarantine stay; again does nothing."""
    desk.put(letter(777), place=Place.QUARANTINE)
    desk.run(Kind.QUARANTINE, "q1", selector=EMAIL, limit=10)
    desk.run(Kind.DISCARD, "d1", selector=EMAIL, limit=10)
    assert [desk.undo("d1").withdrawn, desk.undo("d1").withdrawn] == [10, 0]
    assert [desk.undo("q1").withdrawn, desk.undo("q1").withdrawn] == [10, 0]
    assert desk.show(Place.QUARANTINE) == [letter(777)]
    assert desk.show()[:20] == [*EMAILS[:10], *EMAILS[10:20]]
    assert sorted(desk.show()) == sorted(LETTERS)
    for name, count in (("q1", 10), ("d1", 10)):
        outcome = desk.outcome(name)
        assert (outcome.selected, outcome.rolled_back, outcome.unexplained) == (count, count, 0)


@pytest.mark.parametrize("edit", [Edit(), RESET], ids=["as they were", "edited"])
def test_a_second_rollback_does_nothing(desk: Desk, edit: Edit) -> None:
    """Even when producers push the very bytes that went back, they are not taken for ours."""
    desk.run(edit=edit)
    pushed = desk.show(Place.LIVE)
    assert desk.undo().withdrawn == 60
    desk.put(*pushed, place=Place.LIVE)
    again = desk.undo()
    assert (again.withdrawn, again.out_of_reach) == (0, 0)
    assert desk.show() == LETTERS
    assert desk.show(Place.LIVE) == pushed


@pytest.mark.parametrize("commits", [0, 1, 2, 3])
@pytest.mark.parametrize("edit", [Edit(), RESET], ids=["as they were", "edited"])
def test_an_interrupted_rollback_goes_on(desk: Desk, commits: int, edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the process ends, the next call brings the rest back, under the same name and once each."""
    strangers = [letter(number) for number in range(900, 905)]
    desk.run(selector=EMAIL, edit=edit)
    desk.put(*strangers, place=Place.LIVE)
    monkeypatch.setattr("dlq.engine.chunks.MAX_MESSAGES", 12)  # so that a pass takes several commits
    monkeypatch.setattr("dlq.engine.chunks.ChunkSize.count", lambda _self, remaining: min(12, remaining))
    with monkeypatch.context() as patch:
        cut_after(desk, commits, patch)
        with pytest.raises(Cut):
            desk.undo()
    desk.undo()
    assert desk.show() == [*EMAILS, *WEBHOOKS]
    assert desk.show(Place.LIVE) == strangers
    record = desk.queue.run("r1")
    assert record is not None
    assert (record.rolled_back, len(record.facts["rollbacks"].split())) == (30, 1)
    assert desk.outcome().unexplained == 0


@pytest.mark.parametrize("call", ["acquire", "depth", "begin"])
@pytest.mark.parametrize("name", [None, "asked-for"])
def test_a_rollback_that_died_before_it_began_keeps_nobody_out(
    desk: Desk, call: str, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process ends at a step before the first pass: the next rollback takes the lock over at once."""
    desk.run()
    with monkeypatch.context() as patch:
        through = getattr(desk.queue, call)

        def last(*given: Any, **named: Any) -> Any:
            if call != "begin":
                through(*given, **named)
            raise Cut

        patch.setattr(desk.queue, call, last)
        with pytest.raises(Cut):
            roll_back(desk.queue, CONFIG, "r1", "ada", rollback_id="of-a-flow")
    assert desk.queue.holder() == "of-a-flow of ada"
    undone = roll_back(desk.queue, CONFIG, "r1", "bob", rollback_id=name)
    assert (undone.withdrawn, undone.run_id) == (60, "of-a-flow")
    assert desk.show() == LETTERS
    assert desk.queue.holder() is None
    assert desk.outcome().unexplained == 0


def test_a_rollback_does_not_take_the_lock_of_another_run(desk: Desk) -> None:
    """Not even after one that died before it began; the drain that has the queue is left alone."""
    desk.run(selector=EMAIL)
    desk.queue.annotate("r1", {"rollbacks": "died-early"})
    desk.start(name="r2", who="bob")
    with pytest.raises(LockedError, match="bob"):
        desk.undo("r1")
    assert desk.queue.holder() == "r2 of bob"
    assert desk.show(Place.LIVE) == EMAILS


def test_what_a_later_run_redrove_is_left_to_it(desk: Desk) -> None:
    """A third of it came back with the same bytes and was redriven again: it is the later run's to take back."""
    desk.run(name="r1")
    desk.put(*desk.take(20))
    time.sleep(0.002)  # runs are told apart by the millisecond of their start
    desk.run(name="r2")
    undone = desk.undo("r1")
    assert (undone.withdrawn, undone.again, undone.out_of_reach) == (40, 20, 0)
    assert desk.show(Place.LIVE) == LETTERS[:20]
    assert desk.undo("r2").withdrawn == 20


def test_what_was_taken_back_before_is_not_a_later_runs(desk: Desk) -> None:
    """Rolled back, drained by a second run, rolled back again: what workers took is counted as that."""
    desk.run(name="r1")
    desk.take(20)
    desk.undo("r1")
    time.sleep(0.002)
    desk.run(name="r2")
    undone = desk.undo("r1")
    assert (undone.withdrawn, undone.again, undone.out_of_reach) == (0, 0, 20)
    assert desk.show(Place.LIVE) == LETTERS[20:]


def test_a_rollback_is_not_rolled_back(desk: Desk) -> None:
    """It is said what to do instead; an unknown run is an argument error too."""
    desk.run()
    with pytest.raises(BadArgumentError, match="drain again"):
        desk.undo(desk.undo().run_id)
    with pytest.raises(RunNotFoundError):
        desk.undo("webhooks-no-such-run")


def test_a_rollback_that_fails_gives_the_queue_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the broker ends it; another run may work at once, and the next call goes on."""
    desk.run()
    with monkeypatch.context() as patch:

        def refuse(*_given: object) -> None:
            raise BrokerUnreachableError

        patch.setattr(desk.queue, "commit", refuse)
        with pytest.raises(BrokerUnreachableError):
            desk.undo()
    assert desk.queue.holder() is None
    assert desk.undo().withdrawn == 60
    assert desk.show() == LETTERS
