"""The nightly report: what came, against what; where its numbers are from; what it says and draws."""

import io
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from matplotlib.image import imread

from dlq.brokers.base import Place
from dlq.brokers.memory import MemoryQueue
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.queues import QueueConfig
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind, Request, start
from dlq.messages.selectors import Selector
from dlq.records.notebook import Entry
from dlq.reports import nightly_words
from dlq.reports.days import MOST_DAYS, MOST_SIGNATURES, Day, SignatureDay, bounded, days, keep
from dlq.reports.nightly import Night, look
from dlq.reports.nightly_frames import signature_frame, trend
from dlq.reports.nightly_picture import picture
from dlq.systems.metrics import Reading, Series

BERLIN = ZoneInfo("Europe/Berlin")
GATEWAY, SMTP = "TimeoutError: gateway timed out", "SMTPServerDisconnected: lost"


@dataclass
class FakeMetrics:
    """A Prometheus that knows a few points, or says why it does not."""

    points: tuple[tuple[datetime, float], ...] = ()
    note: str = "not configured: set DLQ_PROMETHEUS_URL"

    def depth_range(self, *_asked: Any) -> Series:
        """Give the points."""
        return Series(self.points, "prometheus http://p:9090", datetime.now(UTC), "" if self.points else self.note)

    def growth_range(self, *_asked: Any) -> Series:
        """Know nothing."""
        return Series((), "prometheus", datetime.now(UTC), self.note)

    def growth_per_minute(self, _queue: str) -> Reading:
        """Know nothing."""
        return Reading(None, "prometheus", datetime.now(UTC), self.note)


@dataclass
class World:
    """A queue in memory, its notebook, and what Prometheus says."""

    config: QueueConfig = field(
        default_factory=lambda: QueueConfig(**QueueConfig.defaults("webhooks") | {"thresholds": {"depth_warn": 50}})
    )
    notebook: MemoryNotebook = field(default_factory=MemoryNotebook)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)

    def __post_init__(self) -> None:
        """Make the queue."""
        self.queue = MemoryQueue(self.config)

    def fail(self, count: int, error: str, *, hours: float = 1, dated: bool = True) -> None:
        """Let messages fail with an error, some hours ago."""
        at = datetime.now(UTC) - timedelta(hours=hours)
        message = {"type": "order", "error": error} | ({"failedAt": at.isoformat()} if dated else {})
        lying = self.queue.store.lists[Place.DLQ]
        lying[:0] = [json.dumps(message | {"id": f"{len(lying)}-{n}"}).encode() for n in range(count)]

    def report(self, zone: tzinfo = UTC) -> Night:
        """Make the report."""
        return look(self.queue, self.config, self.notebook, self.metrics, zone)  # type: ignore[arg-type]

    def yesterday(self, ago: timedelta = timedelta(days=1)) -> Day:
        """Make the report, and let it be one of a day ago."""
        day = self.report().day(UTC)
        self.notebook.erase("days", day.date.isoformat())
        moved = replace(day, date=day.date - ago, at=day.at - ago, since=day.since - ago)
        keep(self.notebook, moved)
        return moved

    def drain(self, error: str) -> str:
        """Drain what failed with an error; give the run's id."""
        request = Request(Kind.DRAIN, "ada", selector=Selector(error=error))
        run = start(self.queue, self.config, request)
        number = 1
        while not run.wave(number).ended:
            number += 1
        run.finish()
        return run.run_id


@pytest.fixture
def world() -> World:
    """Give an empty queue."""
    return World()


def arrivals(night: Night) -> dict[str, int | None]:
    """Give arrivals by the last word of a signature."""
    return {seen.text.split()[-1]: seen.arrived for seen in night.signatures}


def test_what_came_is_what_stands_less_what_stood_plus_what_was_drained(world: World) -> None:
    """A failure that was drained the same day has come all the same."""
    world.fail(30, GATEWAY, hours=40)
    world.yesterday()
    world.fail(12, GATEWAY)
    world.fail(5, SMTP)
    world.drain("gateway")
    world.fail(3, GATEWAY)
    night = world.report()
    assert (night.depth, night.arrived, night.taken.redriven) == (8, 20, 42)
    assert arrivals(night) == {"out": 15, "lost": 5}


def test_a_rollback_is_no_arrival(world: World) -> None:
    """What a rollback puts back into the DLQ stood there before."""
    world.fail(30, GATEWAY)
    world.fail(10, SMTP)
    world.yesterday()
    run_id = world.drain("gateway")
    roll_back(world.queue, world.config, run_id, "ada")
    night = world.report()
    assert (night.depth, night.arrived, night.taken.rolled_back) == (40, 0, 30)
    assert arrivals(night) == {"out": 0, "lost": 0}


def test_a_run_that_was_going_on_at_the_report_before_counts_from_there(world: World) -> None:
    """Of a drain that spans two reports, each has its own part."""
    world.fail(30, GATEWAY, hours=40)
    run = start(world.queue, world.config, Request(Kind.DRAIN, "ada"))
    run.wave(1, 20)
    time.sleep(0.005)  # the ledger knows milliseconds: neither wave may fall into that of the report
    day = world.report().day(UTC)
    time.sleep(0.005)
    world.notebook.erase("days")
    keep(world.notebook, replace(day, date=day.date - timedelta(days=1)))
    time.sleep(0.002)  # batches are told apart from the report by the millisecond
    run.wave(2, 7)
    night = world.report()
    assert (night.depth, night.arrived, night.taken.redriven) == (3, 0, 7)


def test_the_first_report_counts_by_the_time_of_failure_and_says_so(world: World) -> None:
    """Without a day before, what failed in the last 24 hours came; what does not say when is unknown, not zero."""
    world.fail(7, GATEWAY, hours=3)
    world.fail(9, GATEWAY, hours=30)
    world.fail(4, SMTP, dated=False)
    night = world.report()
    assert arrivals(night) == {"out": 7, "lost": None}
    assert night.arrived == 7
    assert "first report of this queue" in nightly_words.markdown([night], UTC)
    assert signature_frame(night)["trend"].tolist() == ["", ""]


def test_a_report_made_twice_compares_with_the_same_day_before(world: World) -> None:
    """A retry, or a person who asks again at noon, does not become yesterday."""
    world.fail(30, GATEWAY, hours=40)
    world.yesterday()
    world.fail(12, GATEWAY)
    first = world.report()
    second = world.report()
    assert (first.arrived, second.arrived, second.since) == (12, 12, first.since)
    assert len(days(world.notebook)) == 2


def test_a_night_without_a_report_lengthens_the_span(world: World) -> None:
    """Arrivals count from the last report, which is said; one of long ago is no day before."""
    world.fail(30, GATEWAY, hours=200)
    before = world.yesterday(timedelta(days=3))
    world.fail(2, GATEWAY)
    assert (world.report().since, world.report().arrived) == (before.at, 2)
    world.notebook.erase("days")
    world.yesterday(timedelta(days=20))
    assert datetime.now(UTC) - world.report().since < timedelta(days=1, minutes=5)


def test_the_day_is_that_of_the_time_zone(world: World) -> None:
    """A report at 23:30 in London belongs to the next day in Kiritimati."""
    here, there = world.report(UTC), world.report(ZoneInfo("Pacific/Kiritimati"))
    assert here.day(UTC).date == here.at.date()
    assert there.day(ZoneInfo("Pacific/Kiritimati")).date == (there.at + timedelta(hours=14)).date()


def test_own_samples_stand_in_for_prometheus_and_it_is_said(world: World) -> None:
    """The peak of the day comes from the samples, with the reason why not from Prometheus."""
    now = datetime.now(UTC)
    slot = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=12)
    for seconds, depth in ((10, 10), (70, 70), (130, 20)):  # all in one step of the history
        seen = orjson.dumps((depth, 0, 0, 0, None)).decode()
        world.notebook.append("samples", Entry(slot + timedelta(seconds=seconds), seen))
    for hours, depth in ((23.5, 10), (2, 20), (30, 500)):
        seen = orjson.dumps((depth, 0, 0, 0, None)).decode()
        world.notebook.append("samples", Entry(now - timedelta(hours=hours), seen))
    night = world.report()
    assert night.peak == 70
    assert night.course.told == "own samples (not configured: set DLQ_PROMETHEUS_URL)"
    assert night.over == ("depth was 70 at its peak, over the threshold of 50",)
    assert (night.severity, night.level) == ("none", None)


def test_prometheus_is_asked_first(world: World) -> None:
    """Where it answers, the depth over the day is its own."""
    now = datetime.now(UTC)
    world.metrics.points = ((now - timedelta(hours=23, minutes=30), 33.0), (now - timedelta(hours=1), 90.0))
    night = world.report()
    assert (night.peak, night.course.told) == (90, "prometheus http://p:9090")


def test_no_history_at_all_is_said() -> None:
    """Nobody knows the peak, and there is a report all the same; the sample that it takes is the first."""
    night = World(metrics=FakeMetrics(note="it did not answer")).report()
    assert "it did not answer" in night.course.told


@pytest.mark.parametrize(
    ("count", "says", "level"),
    [(40, [], None), (51, ["over the threshold of 50"], 1), (10_001, ["over the emergency threshold of 10,000"], 3)],
)
def test_it_says_who_is_over_a_threshold(world: World, count: int, says: list[str], level: int | None) -> None:
    """The thresholds are those of the queue, the levels those of the runbook."""
    world.fail(count, GATEWAY)
    night = world.report()
    assert [part for said in night.over for part in says if part in said] == says
    assert (night.level.number if night.level else None) == level
    assert ("webhooks over a threshold" in nightly_words.title([night], UTC)) is bool(says)


def test_days_and_their_signatures_are_bounded() -> None:
    """Forty days with three hundred long signatures each leave less than half a megabyte."""
    notebook = MemoryNotebook()
    began = datetime(2026, 1, 1, 6, 30, tzinfo=UTC)
    for number in range(40):
        seen, others = bounded(SignatureDay(f"{n:08x}", "x" * 500, n, n) for n in range(300))
        at = began + timedelta(days=number)
        keep(notebook, Day(at.date(), at, at, 5, 5, 5, 0, seen, others))
    kept = days(notebook)
    assert (len(kept), kept[0].date) == (MOST_DAYS, date(2026, 1, 12))
    assert {len(day.signatures) for day in kept} == {MOST_SIGNATURES}
    assert kept[0].others == sum(range(200))
    assert sum(map(len, notebook.notes("days").values())) < 550_000


def test_signatures_are_compared_with_the_day_and_the_week_before(world: World) -> None:
    """Median of the days before, a day without it being a zero; new, rising and falling are named."""
    world.fail(60, GATEWAY)
    world.fail(30, SMTP)
    world.fail(1, "KeyError: id")
    night = world.report()
    keys = {seen.text.split()[-1]: seen.key for seen in night.signatures}
    past = [(10, 90), (20, 80), (0, 100)]
    before = tuple(
        Day(
            night.at.date() - timedelta(days=3 - number),
            night.at,
            night.at,
            0,
            0,
            0,
            0,
            tuple(
                SignatureDay(keys[name], name, 0, count) for name, count in (("out", gateway), ("lost", smtp)) if count
            ),
        )
        for number, (gateway, smtp) in enumerate(past)
    )
    frame = signature_frame(replace(night, before=before)).set_index("signature")
    found = {name.split()[-1]: list(row) for name, row in frame.drop(columns=["key", "in the DLQ"]).iterrows()}
    assert found == {"out": [60, 0, 10, "rising"], "lost": [30, 100, 90, "falling"], "id": [1, 0, 0, "new"]}


@pytest.mark.parametrize(
    ("arrived", "median", "ever", "word"),
    [
        (None, 5, True, ""),
        (0, 0, False, ""),
        (3, 0, False, "new"),
        (3, 0, True, ""),
        (20, 12, True, ""),
        (20, 5, True, "rising"),
    ],
)
def test_small_numbers_are_no_trend(arrived: int | None, median: float, *, ever: bool, word: str) -> None:
    """A ratio says nothing below ten messages."""
    assert trend(arrived, median, ever=ever) == word


def test_a_signature_cannot_break_the_page(world: World) -> None:
    """Pipes, tags and marks in an error text are shown, not obeyed."""
    world.fail(3, "KeyError: a|b <script>alert(1)</script> *bold* [x](y)")
    page = nightly_words.markdown([world.report()], BERLIN)
    assert "<script>" not in page
    assert "a\\|b" in page
    assert "\\*bold\\*" in page


def test_people_are_told_the_worst_first(world: World) -> None:
    """The text has a line for each queue and one for each threshold; the severity is that of the worst."""
    calm = World(config=QueueConfig(**QueueConfig.defaults("jobs")))
    calm.fail(3, SMTP)
    world.fail(51, GATEWAY)
    nights = [calm.report(), world.report()]
    lines = nightly_words.text(nights).splitlines()
    assert lines[0].startswith("webhooks: 51 in the DLQ, the oldest 1h old; 51 arrived")
    assert lines[1] == "  ! depth 51 is over the threshold of 50"
    assert nightly_words.worst(nights).queue == "webhooks"


def test_the_picture_is_drawn_for_light_and_dark(world: World) -> None:
    """Both are images of a size to look at, also with nothing to show, dollars in a text, and many queues."""
    empty = world.report()
    world.fail(60, "ValueError: $x$ and $y")
    full = world.report()
    for nights in ([empty], [full], [full, empty] * 4):
        light, dark = picture(nights, BERLIN), picture(nights, BERLIN, dark=True)
        pixels, night = imread(io.BytesIO(light)), imread(io.BytesIO(dark))
        assert pixels.shape == night.shape
        assert pixels.shape[1] == 1_100
        assert pixels[0, 0, 0] == 1
        assert night[0, 0, 0] < 0.2
