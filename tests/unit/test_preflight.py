"""The pre-flight's checks, one by one, and what the rules make of them."""

from datetime import UTC, datetime, timedelta

import pytest

from dlq.admission.preflight import Check, Preflight, Result
from dlq.admission.preflight.consumers import Watched, check_consumers, check_live, watch_live
from dlq.admission.preflight.outside import Change, Said, check_fix, check_health, check_success
from dlq.admission.preflight.room import check_memory, need
from dlq.brokers.base import Place
from dlq.brokers.memory import MemoryQueue
from dlq.brokers.server import Memory, Taker
from dlq.config.policy_table import CheckName, Policy, Rule
from dlq.config.settings import Settings

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
EMPTY = Watched(0, 0, 0.0, moved=False)
MB = 1_048_576


@pytest.mark.parametrize(
    ("watched", "takers", "result"),
    [
        (Watched(9, 7, 0.25, moved=True), [], Result.PASS),
        (Watched(9, 9, 5.0, moved=False), [Taker("elsewhere", waits=True, idle=0)], Result.FAIL),
        (EMPTY, [Taker("w", waits=True, idle=900)], Result.PASS),
        (EMPTY, [Taker("w", waits=False, idle=2)], Result.PASS),
        (EMPTY, [Taker("w", waits=False, idle=900)], Result.UNKNOWN),
        (EMPTY, [], Result.FAIL),
        (EMPTY, None, Result.UNKNOWN),
    ],
)
def test_consumers_are_judged_by_what_they_do(watched: Watched, takers: list[Taker] | None, result: Result) -> None:
    """A live queue that does not move fails whoever waits elsewhere; an empty one needs somebody who waits."""
    assert check_consumers(watched, takers).result == result


def new_queue() -> MemoryQueue:
    """Make an empty queue."""
    return MemoryQueue(Settings().queue("webhooks"))


def test_a_look_ends_when_something_is_taken() -> None:
    """Also when a producer fills up what a consumer takes, so that the depth stays."""
    queue = new_queue()
    live = queue.store.lists[Place.LIVE]
    live += [b"newest", b"oldest"]

    def one_goes_and_one_comes(_seconds: float) -> None:
        live.pop()
        live.insert(0, b"fresh")

    seen = watch_live(queue, 5, one_goes_and_one_comes)
    assert (seen.before, seen.after, seen.moved, seen.seconds) == (2, 2, True, 0.25)


def test_a_look_at_a_live_queue_that_stands_ends() -> None:
    """After the time that the policy gives it, and at once when the queue is empty."""
    queue = new_queue()
    queue.store.lists[Place.LIVE] += [b"stuck"]
    slept: list[float] = []
    assert watch_live(queue, 1, slept.append) == Watched(1, 1, 1.0, moved=False)
    queue.store.lists[Place.LIVE].clear()
    assert watch_live(queue, 1, slept.append) == EMPTY
    assert sum(slept) == 1


def test_the_ceiling_is_not_to_be_reached() -> None:
    """One under it passes, the ceiling itself fails."""
    assert [check_live(depth, 10).result for depth in (9, 10)] == [Result.PASS, Result.FAIL]


def test_memory_for_edits_counts_the_originals() -> None:
    """A run that keeps originals needs several times what the ledger takes; too little free memory fails."""
    queue = new_queue()
    queue.store.lists[Place.DLQ] += [b"x" * 500] * 10_000
    plain = need(queue, 10_000, keeps_originals=False)
    editing = need(queue, 10_000, keeps_originals=True)
    assert plain < 2 * MB < 10 * MB < editing
    assert check_memory(Memory(90 * MB, 100 * MB), editing).result == Result.FAIL
    assert check_memory(Memory(90 * MB, 100 * MB), plain).result == Result.PASS
    assert check_memory(Memory(90 * MB, None), editing).result == Result.PASS
    assert check_memory(None, plain).result == Result.UNKNOWN


def test_health_is_what_the_workers_say() -> None:
    """Green passes, red fails, and one that nobody can ask is unknown; the words are the evidence."""
    found = [check_health(Said(well, "database: down")) for well in (True, False, None)]
    assert [check.result for check in found] == [Result.PASS, Result.FAIL, Result.UNKNOWN]
    assert {check.evidence for check in found} == {"database: down"}


def test_an_unknown_success_rate_is_not_zero() -> None:
    """Falling is a fall by the policy's part or more; without a number now or before nothing is claimed."""
    results = [check_success(now, before, 0.1).result for now, before in ((0.8, 0.95), (0.9, 0.95), (None, 0.9))]
    assert results == [Result.FAIL, Result.PASS, Result.UNKNOWN]
    assert check_success(0.5, None, 0.1).result == Result.UNKNOWN


def test_a_fix_must_be_newer_than_the_failures() -> None:
    """A person's word counts, and a deployment before the newest failure mended nothing."""
    early, late = (Change(NOW + timedelta(minutes=step), "revision 14 of webhook-workers") for step in (-5, 5))
    assert check_fix(NOW, [early]).result == Result.FAIL
    assert check_fix(NOW, [early, late]).result == Result.PASS
    assert check_fix(NOW, []).result == Result.UNKNOWN
    told = check_fix(NOW, [early], "gateway is back")
    assert (told.result, "gateway is back" in told.evidence) == (Result.PASS, True)


@pytest.mark.parametrize(
    ("rule", "refused", "warned"),
    [(Rule.WARN, 0, 1), (Rule.REFUSE, 1, 0), (Rule.STRICT, 2, 0)],
)
def test_the_rules_say_what_refuses(rule: Rule, refused: int, warned: int) -> None:
    """A failed check refuses or warns; an unknown one refuses only where the rule is strict."""
    checks = [Check(CheckName.HEALTH, Result.FAIL, "503"), Check(CheckName.MEMORY, Result.UNKNOWN, "not told")]
    policy = Policy(preflight=dict.fromkeys((CheckName.HEALTH, CheckName.MEMORY), rule))
    found = Preflight.judge("webhooks", NOW, checks, policy, watched=True)
    assert (len(found.refusals), len(found.warnings), found.go) == (refused, warned, not refused)
    if refused:
        assert "503" in found.refusals[0]
