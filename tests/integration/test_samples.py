"""Samples of a queue: what counts as an arrival, and what growth follows from it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from dlq.brokers.base import Place, Route
from dlq.config.policy import Severity
from dlq.engine.assess import assess
from dlq.engine.run import Kind
from dlq.records.notebook import Notebook
from dlq.summaries.samples import Sample, growth_per_minute, history, look, take
from dlq.summaries.status import look as status
from tests.integration.conformance import ADAPTERS, CONFIG, Desk, MemoryDesk, batch_of, letter, open_desk

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture(params=[name for name in ADAPTERS if name != "rabbit"])  # its depth leaves out what others hold
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give an empty queue on each adapter and each server."""
    found = open_desk(request.param, request)
    yield found
    found.close()


@pytest.fixture
def notebook(desk: Desk) -> Iterator[Notebook]:
    """Give the notebook of the queue."""
    found = desk.notebook()
    yield found
    found.close()


def arrived(desk: Desk, notebook: Notebook) -> int:
    """Look at the counter."""
    return look(desk.queue, notebook, CONFIG).arrived


def put(desk: Desk, first: int, count: int) -> None:
    """Let messages come into the DLQ."""
    desk.put(*(letter(number) for number in range(first, first + count)))


def test_what_is_there_at_first_has_not_arrived(desk: Desk, notebook: Notebook) -> None:
    """The counter begins at 0, and goes up by what comes."""
    put(desk, 0, 5)
    assert [arrived(desk, notebook), arrived(desk, notebook)] == [0, 0]
    put(desk, 5, 3)
    assert arrived(desk, notebook) == 3


def test_what_a_run_takes_out_hides_no_arrival(desk: Desk, notebook: Notebook) -> None:
    """Drained, quarantined, discarded and kept messages make no difference to the counter."""
    put(desk, 0, 12)
    arrived(desk, notebook)
    for number, kind in enumerate((Kind.DRAIN, Kind.QUARANTINE, Kind.DISCARD)):
        desk.run(kind, f"r{number}", wave=2, limit=3)
        put(desk, 100 * (number + 1), 2)
    assert arrived(desk, notebook) == 6


def test_a_run_in_its_middle_hides_no_arrival(desk: Desk, notebook: Notebook) -> None:
    """Between two waves the counts of the run are what its ledger has so far."""
    put(desk, 0, 10)
    run = desk.start()
    run.wave(1, 4)
    assert arrived(desk, notebook) == 0
    put(desk, 100, 1)
    run.wave(2, 4)
    assert arrived(desk, notebook) == 1
    run.finish()
    assert arrived(desk, notebook) == 1


def test_what_a_rollback_puts_back_has_not_arrived(desk: Desk, notebook: Notebook) -> None:
    """Messages out of the live queue, the quarantine and the dropped originals come back uncounted."""
    put(desk, 0, 9)
    arrived(desk, notebook)
    for number, kind in enumerate((Kind.DRAIN, Kind.QUARANTINE, Kind.DISCARD)):
        desk.run(kind, f"r{number}", limit=3)
    put(desk, 100, 2)
    for number in range(3):
        desk.undo(f"r{number}")
    assert desk.queue.depth(Place.DLQ) == 11
    assert arrived(desk, notebook) == 2


def test_what_comes_out_of_an_archive_has_not_arrived(desk: Desk, notebook: Notebook) -> None:
    """A restore puts messages back that left the DLQ long ago."""
    arrived(desk, notebook)
    hold = desk.queue.acquire("r1-restore", "ada")
    desk.queue.begin(hold, Route(Place.DLQ, Place.DLQ), 0, {"kind": Kind.RESTORE.value, "started_at": "1"}, 0)
    back = [letter(number) for number in range(3)]
    desk.queue.put(hold, 1, back, batch_of(1, back, b"m").entries)
    put(desk, 10, 2)
    assert desk.queue.depth(Place.DLQ) == 5
    assert arrived(desk, notebook) == 2


def test_a_bounce_is_an_arrival(desk: Desk, notebook: Notebook) -> None:
    """What a worker failed again has come into the DLQ again."""
    put(desk, 0, 4)
    arrived(desk, notebook)
    desk.run(limit=4)
    desk.put(*desk.take(1))
    assert arrived(desk, notebook) == 1


def test_a_foreign_consumer_makes_the_counter_stand_not_fall(desk: Desk, notebook: Notebook) -> None:
    """What it takes between two samples is unknown; what comes after that counts again."""
    put(desk, 0, 10)
    arrived(desk, notebook)
    desk.take(6, Place.DLQ)
    assert arrived(desk, notebook) == 0
    put(desk, 100, 2)
    assert arrived(desk, notebook) == 2


def test_what_vanishes_from_under_a_run_hides_no_arrival(desk: Desk, notebook: Notebook) -> None:
    """The ledger counts what others took out of a chunk in hand."""
    put(desk, 0, 10)
    run = desk.start()
    arrived(desk, notebook)
    inner, taken = desk.queue.commit, iter((3,))

    def late(*args: object) -> object:
        desk.take(next(taken, 0), Place.DLQ)
        return inner(*args)  # type: ignore[arg-type]

    desk.queue.commit = late  # type: ignore[method-assign,assignment]
    run.wave(1, 10)
    put(desk, 100, 5)
    assert run.record.vanished == 3
    assert arrived(desk, notebook) == 5


def test_samplers_at_once_count_an_arrival_once(desk: Desk, notebook: Notebook) -> None:
    """Two receivers and an assessment that look at the same time do not add up what they saw."""
    if isinstance(desk, MemoryDesk):
        put(desk, 0, 1)
    arrived(desk, notebook)
    put(desk, 10, 50)

    def sampler(_number: int) -> int:
        queue = desk.connect()
        other = notebook if isinstance(desk, MemoryDesk) else desk.notebook()
        try:
            return [look(queue, other, CONFIG).arrived for _ in range(20)][-1]
        finally:
            other.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(sampler, range(4))) == {50}


def test_a_sample_is_kept_and_read_again(desk: Desk, notebook: Notebook) -> None:
    """Depths, counter and the oldest failure, to the millisecond of its moment."""
    failed = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
    desk.put(letter(1, failedAt=failed.isoformat()), letter(2))
    desk.put(letter(3), place=Place.LIVE)
    before = datetime.now(UTC) - timedelta(seconds=1)
    sample = take(desk.queue, notebook, CONFIG)
    (kept,) = history(notebook, before)
    assert (kept.depth, kept.live, kept.quarantine, kept.arrived, kept.oldest) == (2, 1, 0, 0, failed)
    assert abs(kept.at - sample.at) < timedelta(milliseconds=2)
    assert history(notebook, datetime.now(UTC) + timedelta(seconds=1)) == []


def series(*points: tuple[int, int]) -> list[Sample]:
    """Make samples of (seconds, arrived)."""
    return [Sample(NOW + timedelta(seconds=second), 0, 0, 0, count, None) for second, count in points]


@pytest.mark.parametrize(
    ("points", "growth"),
    [
        ([], None),
        ([(0, 7)], None),
        ([(0, 0), (2, 100)], None),
        ([(0, 100), (60, 100)], 0.0),
        ([(0, 100), (60, 200), (120, 500)], 200.0),
        ([(0, 500), (60, 30), (120, 60)], 30.0),
    ],
    ids=["nothing", "one", "too short", "no arrivals", "growth", "a counter that began anew"],
)
def test_growth_is_arrivals_a_minute(points: list[tuple[int, int]], growth: float | None) -> None:
    """Unknown is None, not 0."""
    assert growth_per_minute(series(*points)) == growth


def test_growth_makes_an_assessment_severe(desk: Desk) -> None:
    """Over a hundred a minute is critical and calls level 2; an unknown growth is neither fast nor slow."""
    put(desk, 0, 3)
    none = (Severity.NONE, None)
    for growth, (severity, level) in ((101.0, (Severity.CRITICAL, 2)), (100.0, none), (None, none)):
        found = assess(desk.queue, CONFIG, growth_per_minute=growth)
        assert (found.severity, found.level and found.level.number) == (severity, level)
        assert found.growth_per_minute == growth
        seen = status(desk.queue, CONFIG, growth)
        assert (seen.severity, seen.level) == (severity.value, level)
