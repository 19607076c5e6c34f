"""The loop on a queue in memory, with consumers whose truth is known and a clock of its own."""

import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from dlq.brokers.base import Place
from dlq.brokers.memory import MemoryQueue
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.engine.bounces import left, noted_bounces, poison, stopped
from dlq.engine.run import Kind, Request, Run, start
from dlq.engine.sift import Wave
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Limits, Pace
from dlq.pacing.tallies import Tallies
from dlq.pacing.watch import Watch
from dlq.records.ledger import RunRecord
from dlq.records.timeline import timeline
from tests.integration.conformance import CONFIG, MemoryDesk, letter

LIMITS = Limits(grace=4, lag=16, stall=60)
CAUSES = {"a": "TimeoutError: gateway", "b": "KeyError: 'amount'", "c": "ValueError: bad date"}


def dead(number: int, cause: str, **more: object) -> bytes:
    """Make a dead letter with one of the causes; `cause` is in it, for the consumers."""
    return letter(number, type="webhook", error=CAUSES[cause], cause=cause, attempts=3, **more)


class Crash(BaseException):
    """The process was killed."""


@dataclass
class Scene:
    """A queue, its consumers, and the time; to be killed at some step if asked for."""

    fails: Callable[[str, float], bool]
    speed: float = 50.0
    limits: Limits = LIMITS
    now: float = 1_000.0
    desk: MemoryDesk = field(default_factory=MemoryDesk)
    notebook: MemoryNotebook = field(default_factory=MemoryNotebook)
    late: deque[tuple[float, bytes]] = field(default_factory=deque)
    waves: list[Wave] = field(default_factory=list)
    fresh: Callable[[float], list[bytes]] = lambda _now: []
    kill_at: int = 0
    _steps: int = 0
    _credit: float = 0.0

    def sleep(self, seconds: float) -> None:
        """Let the consumers work."""
        self.now += seconds
        self._credit = min(self._credit + seconds * self.speed, seconds * self.speed + 1)
        for raw in self.desk.take(int(self._credit)):
            self._credit -= 1
            body = json.loads(raw)
            if self.fails(body["cause"], self.now):
                again = body | {
                    "attempts": body["attempts"] + 1,
                    "error": f"Refused: try {self.now}",
                    "failedAt": "now",
                }
                self.late.append((self.now + 1, json.dumps(again).encode()))
        while self.late and self.late[0][0] <= self.now:
            self.desk.put(self.late.popleft()[1])
        if new := self.fresh(self.now):
            self.desk.put(*new)
        self._maybe_die()

    def _maybe_die(self) -> None:
        self._steps += 1
        if self._steps == self.kill_at:
            raise Crash

    def drain(self, name: str = "r1", **request: object) -> RunRecord:
        """Drain adaptively; a killed process is followed by another one."""
        self.waves.clear()
        asked = Request(Kind.DRAIN, "ada", **request)  # type: ignore[arg-type]

        def on_wave(_run: Run, wave: Wave) -> None:
            self.waves.append(wave)
            self._maybe_die()

        while True:
            try:
                return drive(
                    lambda: start(self.desk.connect(), CONFIG, asked, name),
                    Pace.adaptive(self.limits),
                    self.sleep,
                    on_wave,
                    self.notebook,
                    lambda: self.now,
                )
            except Crash:
                continue

    def causes(self, place: Place = Place.DLQ) -> Counter[str]:
        """Count the messages at a place by cause."""
        return Counter(json.loads(raw)["cause"] for raw in self.desk.show(place))


def healthy(_cause: str, _now: float) -> bool:
    """Fail nothing."""
    return False


def poisoned(cause: str, _now: float) -> bool:
    """Fail all of cause b."""
    return cause == "b"


def test_a_healed_outage_is_drained_to_the_end() -> None:
    """Canary first, then twice what consumers take a look; all is delivered when the loop ends, without a wait."""
    scene = Scene(healthy)
    scene.desk.put(*(dead(n, "ab"[n % 2]) for n in range(2_000)))
    record = scene.drain()
    outcome = scene.desk.outcome()
    assert (record.state, outcome.delivered, outcome.bounced, outcome.pending) == ("done", 2_000, 0, 0)
    assert scene.waves[0].selected == 20
    assert max(wave.selected for wave in scene.waves) == 50
    assert outcome.verdict == "delivered"


def test_a_poisoned_signature_is_stopped_and_the_others_go_on() -> None:
    """Of the poisoned one no more than a canary is tried; the rest of it stays, in its order, and is told."""
    scene = Scene(poisoned)
    messages = [dead(n, "abc"[n % 3]) for n in range(3_000)]
    scene.desk.put(*messages)
    record = scene.drain()
    outcome = scene.desk.outcome()
    assert (record.state, outcome.verdict) == ("done", "partial")
    assert outcome.delivered == 2_000
    (halted,) = stopped(record)
    assert 4 <= halted.sent == halted.bounced == outcome.bounced <= 40
    kept = [raw for raw in scene.desk.show() if b"Refused" not in raw]
    assert kept == [raw for raw in messages if b'"cause": "b"' in raw][halted.bounced :]
    assert sorted(seen.verdict for seen in outcome.signatures) == ["delivered", "delivered", "stopped"]
    assert [event.text for event in timeline(scene.notebook, "r1")] == [
        f"signature {halted.key} was stopped: {halted.why}"
    ]


def test_what_is_left_of_a_stopped_signature_is_counted() -> None:
    """What was never tried has its old signature, what bounced the one it came back with."""
    scene = Scene(poisoned)
    scene.desk.put(*(dead(n, "ab"[n % 2]) for n in range(1_000)))
    (halted,) = stopped(scene.drain())
    found = left(scene.desk.queue, CONFIG, {halted.key, *halted.became})
    assert found == {halted.key: 500 - halted.bounced, **halted.became}
    assert sum(halted.became.values()) == halted.bounced


def test_everything_bad_stops_the_drain_after_its_canary() -> None:
    """All of every signature bounces: state tripped, the reason in the ledger, no more than a canary sent."""
    scene = Scene(lambda _cause, _now: True)
    messages = [dead(n, "abc"[n % 3]) for n in range(3_000)]
    scene.desk.put(*messages)
    record = scene.drain()
    assert record.state == "tripped"
    assert record.redriven == 30
    assert record.facts["breaker"]
    assert scene.desk.outcome().verdict == "stopped"
    assert [raw for raw in scene.desk.show() if b"Refused" not in raw] == messages[30:]


def test_a_dependency_that_dies_midway_costs_what_was_on_its_way() -> None:
    """The drain notices within a wave's worth, and stops."""
    scene = Scene(lambda _cause, now: now > 1_030)
    scene.desk.put(*(dead(n, "ab"[n % 2]) for n in range(5_000)))
    record = scene.drain()
    outcome = scene.desk.outcome()
    assert (record.state, outcome.unexplained) == ("tripped", 0)
    assert outcome.delivered > 900
    assert outcome.bounced < 900


def test_a_flood_of_new_failures_is_not_taken_for_bounces() -> None:
    """As many new failures arrive as are delivered: they are no bounces, and are not drained."""
    scene = Scene(healthy)
    numbers = iter(range(100_000, 200_000))
    scene.fresh = lambda _now: [dead(next(numbers), "b") for _ in range(25)]
    scene.desk.put(*(dead(n, "b") for n in range(2_000)))
    record = scene.drain()
    outcome = scene.desk.outcome()
    assert (record.state, record.redriven, outcome.delivered, outcome.bounced) == ("done", 2_000, 2_000, 0)
    assert len(scene.desk.show()) == outcome.arrived > 500


def test_slow_consumers_set_the_pace() -> None:
    """The live queue never holds much more than they take in the lag time."""
    scene = Scene(healthy, speed=5)
    longest = [0]
    scene.fresh = lambda _now: longest.append(len(scene.desk.show(Place.LIVE))) or []
    scene.desk.put(*(dead(n, "a") for n in range(1_000)))
    assert scene.drain().redriven == 1_000
    assert max(longest) <= 2 * 5 * LIMITS.lag


def test_dead_consumers_stop_the_drain_after_the_stall_time() -> None:
    """Nothing but the canary was sent, and nobody took it."""
    scene = Scene(healthy, speed=0)
    scene.desk.put(*(dead(n, "a") for n in range(1_000)))
    record = scene.drain()
    assert (record.state, record.redriven) == ("tripped", 10)
    assert "consumers took nothing for" in record.facts["breaker"]


def test_a_selection_that_is_rare_is_found() -> None:
    """Ten of three thousand are meant: they are one wave, and the rest stays in order."""
    scene = Scene(healthy)
    messages = [dead(n, "a", rare=n % 300 == 7) for n in range(3_000)]
    scene.desk.put(*messages)
    record = scene.drain(selector=Selector(where=("rare=true",)))
    assert (record.redriven, record.state) == (10, "done")
    assert scene.desk.show() == [raw for raw in messages if b'"rare": false' in raw]


def test_a_limit_holds() -> None:
    """No more than asked for, whatever the windows allow."""
    scene = Scene(healthy)
    scene.desk.put(*(dead(n, "a") for n in range(1_000)))
    assert scene.drain(limit=137).redriven == 137


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 55, 70])
def test_a_killed_process_is_followed_by_another(step: int) -> None:
    """Killed at any step: the same signature is stopped, nothing is lost, doubled or counted twice."""
    scene = Scene(poisoned, kill_at=step)
    scene.desk.put(*(dead(n, "ab"[n % 2]) for n in range(1_000)))
    record = scene.drain()
    outcome = scene.desk.outcome()
    assert (record.state, outcome.delivered, outcome.unexplained) == ("done", 500, 0)
    (halted,) = stopped(record)
    assert halted.sent == halted.bounced == outcome.bounced
    everything = Counter(json.loads(raw)["id"] for raw in scene.desk.everything())
    assert set(everything.values()) == {1}
    assert len(everything) == 500


def test_what_bounced_three_times_is_poison_and_goes_to_the_quarantine() -> None:
    """Each run counts once; the fourth one puts it aside, with its history, and drains the rest."""
    scene = Scene(poisoned, limits=replace(LIMITS, bounce=0.9, total=0.9))
    scene.desk.put(*(dead(n, "aaab"[n % 4]) for n in range(40)))
    for number in range(1, 4):
        assert poison(scene.notebook, 3) == {}
        scene.desk.put(*(dead(1_000 * number + n, "a") for n in range(40)))
        scene.drain(f"r{number}")
        assert scene.causes() == {"b": 10}
    histories = poison(scene.notebook, 3)
    assert {history.bounces for history in histories.values()} == {3}
    assert [line.run_id for line in next(iter(histories.values())).returns] == ["r1", "r2", "r3"]
    assert len({line.became for history in histories.values() for line in history.returns}) == 1
    assert len(scene.notebook.log("poison")) == 10
    record = scene.drain("r4")
    assert (record.quarantined, record.redriven, record.state) == (10, 0, "done")
    assert scene.causes(Place.QUARANTINE) == {"b": 10}
    assert scene.desk.outcome("r4").unexplained == 0


def test_waves_are_numbered_without_a_gap() -> None:
    """A wave that is planned is done, and done once."""
    scene = Scene(healthy, kill_at=9)
    scene.desk.put(*(dead(n, "a") for n in range(1_000)))
    scene.drain()
    numbers = sorted({wave.number for wave in scene.waves})
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))
    batches = [batch.wave for batch in scene.desk.queue.batches("r1") if len(batch)]
    assert batches == sorted(batches)


def test_twins_bounce_as_often_as_they_were_sent() -> None:
    """Two messages of one identity both bounce: two, and no third one when somebody else's copy comes in."""
    desk, notebook = MemoryDesk(), MemoryNotebook()
    desk.put(dead(1, "a"), dead(1, "a"), dead(2, "a"))
    desk.run()
    watch = Watch(desk.queue, CONFIG, "r1", notebook, Tallies())
    desk.take(3)
    for expected in (1, 2, 2):
        desk.put(dead(1, "b"))
        watch.look()
        assert sum(watch.tallies.bounced.values()) == expected
    assert sum(watch.tallies.gone.values()) == 3


def test_a_look_reads_no_more_than_what_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind 5,000 kept messages two looks with three arrivals read three messages of the DLQ."""
    desk, notebook = MemoryDesk(), MemoryNotebook()
    desk.put(*(dead(n, "ab"[n % 2]) for n in range(10_000)))
    desk.run(selector=Selector(error="TimeoutError"))
    taken = desk.take(5_000)
    watch = Watch(desk.queue, CONFIG, "r1", notebook, Tallies())
    read: list[int] = []
    plain = MemoryQueue.read

    def spied(self: MemoryQueue, place: Place, skip: int, count: int) -> object:
        found = plain(self, place, skip, count)
        read.append(len(found.result()) if place is Place.DLQ else 0)
        return found

    monkeypatch.setattr(MemoryQueue, "read", spied)
    desk.put(taken[7], taken[4_000])
    watch.look()
    desk.put(taken[9])
    watch.look()
    assert sum(read) == 3
    assert sum(watch.tallies.bounced.values()) == 3


def test_a_process_that_died_after_noting_counts_once() -> None:
    """It had noted the bounces, but not that it had: the next one finds them, and histories count one run."""
    desk, notebook = MemoryDesk(), MemoryNotebook()
    desk.put(*(dead(n, "a") for n in range(20)))
    desk.run()
    taken = desk.take(20)
    desk.put(*taken[:5])
    Watch(desk.queue, CONFIG, "r1", notebook, Tallies()).look()
    again = Watch(desk.queue, CONFIG, "r1", notebook, Tallies())
    again.look()
    assert sum(again.tallies.bounced.values()) == 5
    assert len(noted_bounces(notebook, "r1")) == 5
    assert poison(notebook, 2) == {}


def test_somebody_elses_hand_in_the_dlq_is_survived() -> None:
    """Messages were taken out of the DLQ meanwhile: all of it is searched, and each bounce still counts once."""
    desk, notebook = MemoryDesk(), MemoryNotebook()
    desk.put(*(dead(n, "ab"[n % 2]) for n in range(40)))
    desk.run(selector=Selector(error="TimeoutError"))
    taken = desk.take(20)
    watch = Watch(desk.queue, CONFIG, "r1", notebook, Tallies())
    watch.look()
    desk.take(5, Place.DLQ)
    for count in (1, 2, 3):
        desk.put(taken[count])
        watch.look()
        assert not watch.tallies.exact
        assert sum(watch.tallies.bounced.values()) == count
