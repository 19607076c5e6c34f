"""What became of a run's messages: pending, bounced, delivered, taken back, and nothing unexplained."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlq.brokers.base import Place
from dlq.engine.run import Kind
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from tests.integration.conformance import MemoryDesk, is_of, letter

LETTERS = [letter(number) for number in range(40)]
EMAILS = [message for message in LETTERS if is_of("email", message)]
EMAIL = Selector(types=("email",), where=("keep!=yes",))


@pytest.fixture
def desk() -> MemoryDesk:
    """Give a queue in memory with 40 dead letters, half of them emails."""
    desk = MemoryDesk()
    desk.put(*LETTERS)
    return desk


def counts(desk: MemoryDesk, name: str = "r1") -> tuple[int, int, int]:
    """Count (delivered, bounced, pending), and see that nothing is unexplained."""
    outcome = desk.outcome(name)
    assert outcome.unexplained == 0
    return outcome.delivered, outcome.bounced, outcome.pending


def test_what_nobody_took_is_pending(desk: MemoryDesk) -> None:
    """Each message in the live queue counts once, beside a producer's with other bytes."""
    desk.run(selector=EMAIL)
    desk.put(letter(900), place=Place.LIVE)
    assert counts(desk) == (0, 0, 20)
    desk.take(5)
    assert counts(desk) == (5, 0, 15)


def test_what_failed_again_has_bounced(desk: MemoryDesk) -> None:
    """Other attempts, time and error, the same id: it is the same message come back."""
    desk.run()
    desk.take(40)
    desk.put(letter(0, retryCount=9, error="ValueError: new", failedAt="2026-11-24T00:00:00Z"), letter(1, attempts=7))
    assert counts(desk) == (38, 2, 0)


def test_a_message_without_an_id_is_known_by_its_content() -> None:
    """Without an id the rest of the body tells whether it is the same."""
    desk = MemoryDesk()
    desk.put(b'{"type":"a","payload":{"n":1},"attempts":1}', b'{"type":"a","payload":{"n":2},"attempts":1}')
    desk.run()
    desk.take(2)
    desk.put(b'{"attempts":2,"payload":{"n":2},"type":"a","error":"ValueError: x"}', b'{"type":"a","payload":{"n":3}}')
    assert counts(desk) == (1, 1, 0)


def test_an_edited_message_that_fails_again_has_bounced(desk: MemoryDesk) -> None:
    """Edited bytes are found pending, and the identity outlives the edit."""
    desk.run(edit=Edit(set=("retryCount=0", "note=fixed")))
    assert counts(desk) == (0, 0, 40)
    taken = desk.take(40)
    desk.put(taken[7])
    assert counts(desk) == (39, 1, 0)


def test_of_two_twins_one_waits_and_one_has_bounced() -> None:
    """The same bytes redriven twice: one is still in the live queue, the other came back; neither is delivered."""
    desk = MemoryDesk()
    desk.put(letter(1), letter(1), letter(1))
    desk.run()
    desk.put(*desk.take(1))
    assert counts(desk) == (0, 1, 2)
    desk.put(*desk.take(1))
    assert counts(desk) == (0, 2, 1)


def test_a_message_seen_in_both_places_has_bounced(desk: MemoryDesk) -> None:
    """The live queue is read first, so one on its way from there to the DLQ can be seen twice: it counts once."""
    desk.run()
    desk.put(desk.show(Place.LIVE)[3])
    assert counts(desk) == (0, 1, 39)


def test_a_new_failure_is_no_bounce(desk: MemoryDesk) -> None:
    """Arrivals with other identities are counted as arrivals only."""
    desk.run()
    desk.take(40)
    desk.put(letter(900), letter(901))
    assert counts(desk) == (40, 0, 0)
    assert desk.outcome().arrived == 2


def test_a_bounce_between_two_waves_is_seen(desk: MemoryDesk) -> None:
    """It lies between kept messages of the waves around it, and an unselected twin is not taken for it."""
    desk.put(letter(1, keep="yes"), letter(3, keep="yes"))  # identities of redriven emails, not selected
    run = desk.start(selector=EMAIL)
    run.wave(1, 5)
    desk.take(5)
    desk.put(letter(1, retryCount=9))
    run.wave(2, 5)
    run.finish()
    desk.take(5)
    assert counts(desk) == (9, 1, 0)


def test_an_unselected_twin_is_no_bounce(desk: MemoryDesk) -> None:
    """A message with the same identity that was in the DLQ all along says nothing about ours."""
    desk.put(*(letter(number, keep="yes") for number in range(40)))
    desk.run(selector=EMAIL)
    desk.take(20)
    assert counts(desk) == (20, 0, 0)


def test_an_unselected_twin_is_no_bounce_after_a_rollback(desk: MemoryDesk) -> None:
    """What a rollback put back is known too, and does not move the place where arrivals are looked for."""
    desk.put(*(letter(number, keep="yes") for number in range(39, -1, -1)))
    desk.run(selector=EMAIL)
    desk.take(10)
    desk.undo()
    outcome = desk.outcome()
    assert (outcome.delivered, outcome.bounced, outcome.rolled_back, outcome.unexplained) == (10, 0, 10, 0)
    desk.put(letter(1, retryCount=9))
    assert counts(desk) == (9, 1, 0)


def test_a_bounce_is_seen_after_a_later_run_moved_on(desk: MemoryDesk) -> None:
    """A second run takes messages out and turns the DLQ: the first run's bounces are still found."""
    desk.run(selector=EMAIL)
    desk.take(20)
    desk.put(*(letter(number, retryCount=9) for number in range(1, 21, 2)))
    time.sleep(0.002)
    desk.run(name="r2", selector=Selector(types=("webhook",)), limit=8)
    assert counts(desk) == (10, 10, 0)


def test_what_was_put_aside_or_dropped_is_that(desk: MemoryDesk) -> None:
    """A quarantine and a discard have neither deliveries nor bounces."""
    desk.run(Kind.QUARANTINE, "q1", selector=EMAIL, limit=7)
    desk.run(Kind.DISCARD, "d1", selector=EMAIL, limit=6)
    put_aside, dropped = desk.outcome("q1"), desk.outcome("d1")
    assert (put_aside.selected, put_aside.quarantined, put_aside.unexplained) == (7, 7, 0)
    assert (dropped.selected, dropped.dropped, dropped.unexplained) == (6, 6, 0)


def test_somebody_elses_hand_in_the_dlq_is_said(desk: MemoryDesk) -> None:
    """When kept messages were taken by others, arrivals are looked for in all of it, and `exact` is off."""
    desk.run(selector=EMAIL)
    assert desk.outcome().exact
    desk.take(20)
    desk.put(letter(1, retryCount=9))
    desk.take(4, Place.DLQ)
    assert not desk.outcome().exact
    assert counts(desk) == (19, 1, 0)


def test_signatures_have_their_own_outcomes() -> None:
    """One failure bounces, the other is delivered, and each says so."""
    desk = MemoryDesk()
    desk.put(*(letter(n, error=("KeyError: 'a'", "TimeoutError: b")[n % 2]) for n in range(20)))
    desk.run()
    desk.take(20)
    desk.put(*(letter(n, retryCount=9) for n in range(0, 20, 2)))
    assert sorted((seen.verdict, seen.delivered + seen.bounced) for seen in desk.outcome().signatures) == [
        ("bounced", 10),
        ("delivered", 10),
    ]


def test_conservation_is_a_line_of_text(desk: MemoryDesk) -> None:
    """The law is written out with its numbers."""
    desk.run(limit=3)
    assert desk.outcome().conservation == (
        "3 selected = 0 delivered + 0 bounced + 3 pending + 0 quarantined + 0 dropped + 0 rolled back (unexplained 0)"
    )


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["email", "webhook"])), max_size=30),
    st.integers(0, 30),
    st.lists(st.integers(0, 29), unique=True, max_size=10),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_nothing_is_ever_unexplained(
    made: list[tuple[int, str]],
    consumed: int,
    failing: list[int],
    undone: bool,  # noqa: FBT001 - drawn
) -> None:
    """Any messages, twins among them, any number consumed, any of those failing again, undone or not: it adds up."""
    desk = MemoryDesk()
    desk.put(*(letter(number, type=kind) for number, kind in made))
    selected = desk.run(selector=EMAIL).selected
    taken = desk.take(consumed)
    desk.put(*(taken[place] for place in failing if place < len(taken)))
    if undone:
        desk.undo()
    outcome = desk.outcome()
    assert outcome.selected == selected
    assert outcome.unexplained == 0
    assert outcome.rolled_back == (selected - len(taken) if undone else 0)
    assert outcome.bounced == sum(place < len(taken) for place in failing)
    total = len(desk.show()) + len(desk.show(Place.LIVE)) + outcome.delivered
    assert total == len(made)


def test_what_producers_push_meanwhile_hides_nothing(desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the live queue is read it grows by as much again: what waits at its consumers' end is still pending."""
    desk.run()
    monkeypatch.setattr("dlq.engine.chunks.ChunkSize.count", lambda _self, remaining: min(3, remaining))
    read = desk.queue.read_newest

    def pushed_meanwhile(place: Place, skip: int, count: int) -> object:
        found = read(place, skip, count)
        if place is Place.LIVE and skip < 12:
            desk.put(b"a producer's", place=Place.LIVE)
        return found

    monkeypatch.setattr(desk.queue, "read_newest", pushed_meanwhile)
    outcome = desk.outcome()
    assert (outcome.delivered, outcome.pending) == (0, outcome.selected)
