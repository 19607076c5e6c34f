"""What a run learns of its messages look by look: the same on every adapter, and what a whole verification finds."""

import random
from collections.abc import Iterator

import pytest

from dlq.brokers.base import Place
from dlq.messages.selectors import Selector
from dlq.pacing.ahead import Ahead
from dlq.pacing.tallies import Tallies
from dlq.pacing.watch import Watch
from dlq.pacing.windows import Action, Decision
from tests.integration.conformance import ADAPTERS, CONFIG, Desk, letter, open_desk

CAUSES = ("TimeoutError: gateway", "KeyError: 'amount'", "ValueError: bad date")
CHOSEN = Selector(where=("keep!=yes",))


@pytest.fixture(params=ADAPTERS)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give an empty queue on each adapter and each server."""
    desk = open_desk(request.param, request)
    yield desk
    desk.close()


def dead(number: int, **more: object) -> bytes:
    """Make a dead letter; every fourth is to be kept."""
    keep = {"keep": "yes"} if number % 4 == 3 else {}
    return letter(number, type="webhook", error=CAUSES[number % 3], **keep, **more)


@pytest.mark.parametrize("seed", range(4))
def test_looks_add_up_to_the_verification(desk: Desk, seed: int) -> None:
    """Waves, consumers, bounces and new failures in any order, looks at any moment: the same counts by signature."""
    rng = random.Random(seed)
    desk.put(*map(dead, range(300)))
    run, notebook = desk.start(selector=CHOSEN), desk.notebook()
    tallies, number, fresh, hands = Tallies(), 0, 10_000, list[bytes]()
    while True:
        act = rng.choice(["wave", "take", "take", "bounce", "fresh", "look"])
        if act == "wave":
            number += 1
            if run.wave(number, rng.randint(1, 40)).ended:
                break
        elif act == "take":
            hands += desk.take(rng.randint(1, 30))
        elif act == "bounce" and hands:
            desk.put(*(hands.pop(rng.randrange(len(hands))) for _ in range(min(len(hands), rng.randint(1, 5)))))
        elif act == "fresh":
            desk.put(dead(fresh))
            fresh += 1
        elif act == "look":
            watch = Watch(run.queue, CONFIG, "r1", notebook, tallies)  # a new process each time
            watch.look()
            tallies = Tallies(**watch.tallies.as_dict())
    run.finish()
    watch = Watch(run.queue, CONFIG, "r1", notebook, tallies)
    watch.look()
    outcome = desk.outcome()
    seen = watch.tallies
    assert seen.exact or not outcome.exact  # a RabbitMQ does not tell where its arrivals lie: all of it is searched
    assert sum(seen.sent.values()) == run.record.redriven == 225
    assert sum(seen.bounced.values()) == outcome.bounced
    assert sum(seen.sent.values()) - sum(seen.gone.values()) == outcome.pending
    by_code = {run.reading.book.key(found.code): found.bounced for found in outcome.signatures}
    assert {key: count for key, count in seen.bounced.items() if count} == {k: n for k, n in by_code.items() if n}


def test_the_wave_is_as_long_as_its_signatures_allow(desk: Desk) -> None:
    """Read ahead and kept for the next wave: no signature gets more than allowed, and nothing is read twice."""
    desk.put(*map(dead, range(300)))
    run = desk.start(selector=CHOSEN)
    ahead = Ahead(run)
    decision = Decision(Action.WAVE, 100, others=10)
    size, more = ahead.count(decision)
    assert (size, more) == (30, True)
    wave = run.wave(1, size)
    ahead.passed(wave)
    moved = desk.show(Place.LIVE)
    assert [sum(cause.encode() in raw for raw in moved) for cause in CAUSES] == [10, 10, 10]
    assert ahead.count(Decision(Action.WAVE, 1_000, others=1_000)) == (195, True)
    ahead.skip({run.reading.book.key(1)})
    run.decide.skip({run.reading.book.key(1)})
    size, _ = ahead.count(Decision(Action.WAVE, 1_000, others=1_000))
    assert run.wave(2, size).selected == size == 130
