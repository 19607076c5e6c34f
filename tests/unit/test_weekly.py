"""The weekly review: patterns against the weeks before, runs and how they ended, thresholds with their reasons."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from matplotlib.image import imread

from dlq.brokers.memory import MemoryQueue
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.queues import QueueConfig
from dlq.config.settings import Settings
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind, Request, start
from dlq.records.notebook import Entry
from dlq.reports import weekly_words
from dlq.reports.days import Day, SignatureDay, keep
from dlq.reports.thresholds import episodes, nice, propose, told
from dlq.reports.weekly import Week, review
from dlq.reports.weekly_frames import incident_frame, pattern_frame, threshold_frame
from dlq.reports.weekly_picture import picture
from dlq.systems.metrics import Metrics

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime.now(UTC).replace(microsecond=0)
STEP = timedelta(minutes=5)
QUEUE = QueueConfig(**QueueConfig.defaults("webhooks"))

Points = list[tuple[datetime, float]]


def series(usual: float, *events: tuple[float, float, float], days: float = 7) -> Points:
    """Give a week of depths; an event is (hours ago, hours long, depth)."""
    points = []
    at = NOW - timedelta(days=days)
    while at <= NOW:
        ago = (NOW - at) / timedelta(hours=1)
        depth = next((depth for began, lasted, depth in events if began - lasted <= ago <= began), usual)
        points.append((at, depth))
        at += STEP
    return points


def span(hours_ago: float, hours: float = 0.5) -> tuple[datetime, datetime]:
    """Give the span of a run."""
    began = NOW - timedelta(hours=hours_ago)
    return began, began + timedelta(hours=hours)


def test_an_episode_lasts_as_long_as_the_alert_rule_waits() -> None:
    """Five minutes over the threshold fire; a single point, and a hole in the data, do not."""
    points = series(10, (50, 0.2, 200), (30, 0, 900), (10, 2, 500))
    found = episodes(points, 100)
    assert [(episode.peak, episode.ended - episode.began) for episode in found] == [
        (200, timedelta(minutes=10)),
        (500, timedelta(hours=2)),
    ]
    torn = [point for point in points if not timedelta(hours=8.5) < NOW - point[0] < timedelta(hours=9.5)]
    assert len(episodes(torn, 100)) == 3


def test_a_threshold_far_above_the_trouble_is_lowered() -> None:
    """Ordinary days lie at 20, the incident reached 400: 1,000 slept through it, the proposal does not."""
    found = propose("depth_warn", series(20, (50, 2, 400)), 1_000, [span(50)], 20)
    assert (found.present, found.proposed, found.fired) == (1_000, 200, ())
    assert [episode.peak for episode in found.would_fire] == [400]
    assert "the smallest of 1 incident reached 400" in found.reason
    assert "trouble is seen late" in found.reason


def test_a_threshold_that_cries_wolf_is_raised() -> None:
    """Five evenings over 100 without anybody doing anything: the threshold goes above the ordinary evening."""
    evenings = [(24 * day + 4, 3, 180) for day in range(5)]
    found = propose("depth_warn", series(60, *evenings), 100, [], 20)
    assert found.proposed == 300
    assert len(found.fired) == 5
    assert "fired 5 times without a run that followed" in found.reason
    assert found.would_fire == ()


def test_a_threshold_that_people_act_upon_stands() -> None:
    """The same evenings, each followed by a drain, are incidents: the alert was right."""
    evenings = [(24 * day + 4, 3, 180) for day in range(5)]
    found = propose("depth_warn", series(60, *evenings), 100, [span(24 * day + 3, 2) for day in range(5)], 20)
    assert (found.proposed, len(found.fired)) == (None, 5)
    assert "the present one stands" in found.reason


def test_a_threshold_that_is_right_more_often_than_not_stands() -> None:
    """Three false alarms beside four that led to a drain are no noise."""
    evenings = [(22 * number + 4, 3, 180) for number in range(7)]
    runs = [span(22 * number + 3, 2) for number in range(4)]
    found = propose("depth_warn", series(60, *evenings), 100, runs, 20)
    assert (found.proposed, len(found.fired)) == (None, 7)


def test_a_lower_threshold_must_not_cry_wolf_itself() -> None:
    """Where half the proposal would fire daily, it is raised until it does not."""
    evenings = [(24 * day + 4, 1, 90) for day in range(7)]
    found = propose("depth_warn", series(5, *evenings), 1_000, [], 20)
    assert found.proposed is not None
    assert 90 <= found.proposed < 1_000
    assert found.would_fire == ()


@pytest.mark.parametrize(
    ("points", "why"),
    [([], "too little data"), (series(5, days=2), "too little data: 2.0 days"), (series(0), "nothing to propose from")],
)
def test_without_ground_nothing_is_proposed(points: Points, why: str) -> None:
    """Too short a history, or a queue that was empty all week, is no reason to move a threshold."""
    found = propose("depth_warn", points, 1_000, [], 20)
    assert found.proposed is None
    assert why in found.reason


@pytest.mark.parametrize(
    ("value", "number"), [(0, 1), (1, 1), (20.1, 30), (30, 30), (76, 100), (149, 150), (1_001, 1_500), (7_600, 10_000)]
)
def test_proposals_are_numbers_that_people_set(value: float, number: int) -> None:
    """Rounded up to 1, 1.5, 2, 3, 5 or 7.5 times a power of ten."""
    assert nice(value) == number


def test_firings_are_told_in_a_few_words() -> None:
    """How often, how long in all, how high."""
    points = series(10, (50, 1, 200), (20, 2, 400))
    assert told(episodes(points, 100)) == "twice, 3.0 h in all, 400 at most"
    assert told(()) == "never"


@pytest.fixture
def world() -> tuple[MemoryQueue, MemoryNotebook]:
    """Give a queue whose nightly reports are two weeks old."""
    notebook = MemoryNotebook()
    for ago in range(13, -1, -1):
        at = NOW - timedelta(days=ago)
        week = 0 if ago > 6 else 1
        seen = (
            SignatureDay("aaaaaaaa", "order · TimeoutError: gateway", 0, (10, 40)[week]),
            SignatureDay("bbbbbbbb", "email · SMTPServerDisconnected: lost", 0, (50, 50)[week]),
            SignatureDay("cccccccc", "sync · KeyError: region", 0, (0, 3 if ago < 3 else 0)[week]),
        )
        keep(
            notebook,
            Day(
                at.astimezone(BERLIN).date(),
                at,
                at - timedelta(days=1),
                5,
                9,
                sum(s.arrived or 0 for s in seen),
                0,
                seen,
            ),
        )
        notebook.append("samples", Entry(at, orjson.dumps((5, 0, 0, 0, None)).decode()))
    return MemoryQueue(QUEUE), notebook


def look_back(world: tuple[MemoryQueue, MemoryNotebook]) -> Week:
    """Make the review."""
    queue, notebook = world
    return review(queue, QUEUE, notebook, Metrics.of(Settings()), BERLIN)


def test_new_and_rising_signatures_come_first(world: tuple[MemoryQueue, MemoryNotebook]) -> None:
    """Against the week before: what is new, what rose, and then the rest by size."""
    week = look_back(world)
    frame = pattern_frame(week)
    assert frame[["key", "arrived", "week before", "trend"]].to_numpy().tolist() == [
        ["cccccccc", 9, 0, "new"],
        ["aaaaaaaa", 280, 70, "rising"],
        ["bbbbbbbb", 350, 350, ""],
    ]
    assert (week.arrived, week.arrived_before) == (639, 420)


def test_a_rise_within_the_week_is_seen_without_a_week_before(world: tuple[MemoryQueue, MemoryNotebook]) -> None:
    """In the first week there is nothing to compare with, but the days themselves."""
    week = look_back(world)
    days = tuple(
        replace(day, signatures=(SignatureDay("aaaaaaaa", "order · x", 0, 5 + 20 * number),))
        for number, day in enumerate(week.days)
    )
    frame = pattern_frame(replace(week, days=days, earlier=()))
    assert frame["trend"].tolist() == ["rising in the week"]
    assert frame["week before"].isna().all()


def test_runs_are_told_with_duration_and_outcome(world: tuple[MemoryQueue, MemoryNotebook]) -> None:
    """A run that was taken back says by which; a rollback has no line of its own."""
    queue, _ = world
    run = start(queue, QUEUE, Request(Kind.DRAIN, "ada", "gateway is back"))
    run.wave(1)
    run.finish()
    undone = roll_back(queue, QUEUE, run.run_id, "bob")
    start(queue, QUEUE, Request(Kind.QUARANTINE, "cy")).wave(1)
    frame = incident_frame(look_back(world), BERLIN)
    assert frame[["kind", "took", "asked by", "reason"]].to_numpy().tolist() == [
        ["drain", "0s", "ada", "gateway is back"],
        ["quarantine", "not ended", "cy", ""],
    ]
    assert frame["outcome"][0].endswith(f"taken back by {undone.run_id}")
    assert frame["outcome"][1] == "running"


def test_the_page_says_what_to_write_into_dlq_toml(world: tuple[MemoryQueue, MemoryNotebook]) -> None:
    """A proposal comes as the lines to set it with; the text for people has it too."""
    _, notebook = world
    for at, depth in series(20, (50, 2, 400)):
        notebook.append("samples", Entry(at, orjson.dumps((depth, 0, 0, 0, None)).decode()))
    week = look_back(world)
    row = threshold_frame([week]).iloc[0]
    assert (row["threshold"], row["present"], row["proposed"]) == ("depth_warn", 1_000, 30)
    page = weekly_words.markdown([week], BERLIN)
    assert "[queues.webhooks.thresholds]\ndepth_warn = 30" in page
    assert "depth\\_warn 1,000 → **30**: outside of incidents" in page
    assert "It fired: never; the proposed one would have: once, 2.0 h in all, 400 at most." in page
    assert "own samples (not configured: set DLQ" in page
    assert "depth_warn: 1,000 -> 30" in weekly_words.text([week])
    assert "1 threshold to change" in weekly_words.title([week], BERLIN)


def test_the_picture_is_drawn_for_light_and_dark(world: tuple[MemoryQueue, MemoryNotebook]) -> None:
    """Also for a queue of which nothing is known."""
    week = look_back(world)
    for weeks in ([week], [replace(week, days=(), earlier=())], [week] * 8):
        light, dark = (imread(io.BytesIO(picture(weeks, BERLIN, dark=dark))) for dark in (False, True))
        assert light.shape == dark.shape
        assert light[0, 0, 0] == 1
        assert dark[0, 0, 0] < 0.2
