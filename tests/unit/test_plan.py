"""Plans: what is expected, the hash, and when a plan is void."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from dlq.admission.plan import Plan, changed, make_plan
from dlq.engine.preview import Preview
from dlq.engine.run import Kind, Request
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from dlq.pacing.pace import Mode, Pace

TIMEOUT, KEY = ("aaaa1111", "webhook · TimeoutError"), ("bbbb2222", "webhook · KeyError")


def seen(timeouts: int = 800, keys: int = 200) -> Preview:
    """Give a dry run that found two signatures."""
    return Preview(
        "webhooks",
        timeouts + keys,
        timeouts + keys,
        types=Counter(webhook=timeouts + keys),
        signatures=Counter({TIMEOUT: timeouts, KEY: keys}),
    )


def request(pace: Pace | None = None, **more: object) -> Request:
    """Give a request to drain."""
    now = datetime.now(UTC)
    parts = {"selector": Selector(now=now), "pace": (pace or Pace()).as_parameters(), **more}
    return Request(Kind.DRAIN, "ada@ops", "test", **parts)  # type: ignore[arg-type]


def plan(timeouts: int = 800, keys: int = 200, **more: object) -> Plan:
    """Make a plan."""
    return make_plan(seen(timeouts, keys), request(**more))


def test_the_hash_is_about_state_and_request() -> None:
    """Asked again for the same it is the same; another depth, mix or parameter gives another."""
    first = plan()
    assert plan().hash == first.hash
    others = {plan(801).hash, plan(edit=Edit(set=("a=1",))).hash, plan(limit=5).hash, plan(pace=Pace.unpaced()).hash}
    assert len(others | {first.hash}) == 5
    parts = ({"depth": first.depth + 1}, {"selected": first.selected - 1}, {"types": {"webhook": 500, "order": 500}})
    assert len({first.model_copy(update=part).hash for part in parts} | {first.hash}) == 4


def test_a_plan_survives_the_notebook() -> None:
    """Read back from JSON it has the same hash and numbers."""
    first = plan(limit=7, edit=Edit(set=("retryCount=0",)))
    again = Plan.model_validate_json(first.model_dump_json())
    assert (again, again.hash) == (first, first.hash)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ((800, 200), ""),
        ((880, 220), ""),
        ((1_000, 250), "1,250 messages"),
        ((500, 200), "700 messages"),
        ((620, 380), ""),
        ((500, 500), "30%"),
        ((0, 0), "0 messages"),
    ],
)
def test_a_plan_is_void_when_the_queue_is_another(now: tuple[int, int], said: str) -> None:
    """By more than a fifth in number, or in the mix; a little more or less leaves it as it is."""
    reason = changed(plan(), plan(*now), 0.2)
    assert said in reason
    assert bool(said) == bool(reason)


def test_other_parameters_make_it_void() -> None:
    """Whatever the queue is like."""
    assert "parameters" in changed(plan(), plan(limit=900), 1.0)


def test_the_slower_of_pace_and_consumers_counts() -> None:
    """1,000 messages in ten waves with 30 s between take 270 s; consumers of 2 a second need 500 s."""
    pace = Pace(Mode.FIXED, 100, 30.0, 0)
    by_pace = make_plan(seen(), request(pace), rate=50.0)
    by_consumers = make_plan(seen(), request(pace), rate=2.0)
    assert (by_pace.waves, by_pace.seconds, by_consumers.seconds) == (10, 270.0, 500.0)


def test_bounces_are_expected_from_history_only() -> None:
    """A signature without a history expects nothing, which is not zero."""
    assert plan().bounces is None
    told = make_plan(seen(), request(), history={KEY[0]: 0.9})
    assert told.bounces == pytest.approx(180)
    assert told.as_dict()["expected_bounces"] == 180
