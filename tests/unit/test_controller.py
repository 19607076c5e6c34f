"""Single decisions of the adaptive pace; tests/simulation has whole drains."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from dlq.config.queues import QueueConfig
from dlq.errors import BadArgumentError
from dlq.pacing.controller import Controller
from dlq.pacing.pace import Limits, Mode, OnTrip, Pace
from dlq.pacing.windows import Action, Seen, State

LIMITS = Limits(grace=10, lag=30, stall=60)
NOTHING = Seen(1_000.0, 0, more=True, sent={}, gone={}, bounced={})


def seen(at: float, live: int = 0, *, more: bool = True, **counts: tuple[int, int, int]) -> Seen:
    """Give a look at a moment; counts by signature are (sent, gone, bounced), all of them of wave 1."""
    columns: list[Mapping[str, int]] = [{key: row[i] for key, row in counts.items()} for i in range(3)]
    recent = ((1, {key: (row[1], row[2]) for key, row in counts.items()}),)
    return Seen(1_000.0 + at, live, more, *columns, recent)


@pytest.mark.parametrize(("selection", "canary"), [(5, 10), (999, 10), (2_000, 20), (10_000, 100), (1_000_000, 100)])
def test_the_canary_is_a_hundredth(selection: int, canary: int) -> None:
    """At least 10 and at most 100."""
    decision = Controller.fresh(LIMITS, selection).decide(NOTHING)
    assert (decision.action, decision.size) == (Action.WAVE, canary)


def test_nothing_goes_before_the_outcome_of_the_canary() -> None:
    """Taken is not delivered: the grace time has to pass first; then twice as many go."""
    controller = Controller.fresh(LIMITS, 10_000)
    controller.decide(NOTHING)
    for at in (1, 5, 10.9):
        assert controller.decide(seen(at, a=(100, 100, 0))).action is Action.WAIT
    decision = controller.decide(seen(11.1, a=(100, 100, 0)))
    assert (decision.action, decision.size, decision.allowed) == (Action.WAVE, 200, {"a": 200})


def test_a_signature_is_stopped_alone() -> None:
    """The poisoned one gets nothing more, with the reason; the healthy one goes on."""
    controller = Controller.fresh(LIMITS, 10_000)
    controller.decide(NOTHING)
    controller.decide(seen(1, a=(50, 50, 0), b=(50, 50, 50)))
    decision = controller.decide(seen(12, a=(50, 50, 0), b=(50, 50, 50)))
    assert controller.stopped == {"b": "50 of 50 bounced: surely over 88%, and 20% is the limit"}
    assert (decision.action, decision.allowed["b"]) == (Action.WAVE, 0)
    assert decision.allowed["a"] > 100


def test_many_causes_together_stop_the_drain() -> None:
    """Thirty signatures with two messages each prove nothing alone, but all together they do."""
    controller = Controller.fresh(LIMITS, 10_000)
    controller.decide(NOTHING)
    decision = controller.decide(seen(1, **{f"s{n}": (2, 2, 2) for n in range(30)}))
    assert decision.action is Action.TRIP
    assert "all signatures together 60 of 60" in decision.why
    assert controller.decide(seen(2)).action is Action.TRIP


def test_a_doubtful_signature_keeps_to_its_canary() -> None:
    """Its bounces are over the limit without being surely so: no more than a canary is on its way."""
    controller = Controller.fresh(LIMITS, 2_000)
    controller.decide(NOTHING)
    controller.decide(seen(1, a=(20, 20, 7)))
    decision = controller.decide(seen(12, a=(20, 20, 7)))
    assert (decision.action, decision.allowed["a"], controller.stopped) == (Action.WAVE, 20, {})


def test_lagging_consumers_halve_the_window_once_a_round() -> None:
    """They need longer than the lag for what they have; it is cut once, and not at each look."""
    controller = Controller.fresh(LIMITS, 10_000)
    controller.decide(NOTHING)
    controller.decide(seen(1, 90, a=(100, 10, 0)))
    for at in (2, 3, 4):
        controller.decide(seen(at, 90 - int(at), a=(100, 10 + int(at), 0)))
    assert controller.state.window == 50


def test_what_waits_follows_what_consumers_took() -> None:
    """A proven signature's waves double from look to look while consumers take all, and stay when they do not."""
    controller = Controller.fresh(LIMITS, 10_000)
    controller.decide(NOTHING)
    controller.decide(seen(1, a=(100, 100, 0)))
    assert controller.decide(seen(12, a=(100, 100, 0))).size == 200
    assert controller.decide(seen(14, a=(300, 300, 0))).size == 400
    assert controller.decide(seen(16, 200, a=(700, 500, 0))).size == 200


def test_a_drain_in_doubt_goes_on_with_a_canary() -> None:
    """However fast consumers were before: waiting for less than nothing would be for ever."""
    controller = Controller.fresh(LIMITS, 1_400)
    controller.decide(NOTHING)
    controller.decide(seen(2, a=(20, 20, 10), b=(12, 12, 8)))
    assert (controller.state.doubt, controller.state.pull) == (True, 32)
    decision = controller.decide(seen(12, a=(20, 20, 10), b=(12, 12, 8)))
    assert (decision.action, decision.size) == (Action.WAVE, 14)


@pytest.mark.parametrize(("bounced", "proven"), [(0, True), (1, False), (3, False)])
def test_a_clean_canary_proves_a_signature(bounced: int, proven: bool) -> None:  # noqa: FBT001 - a parameter
    """With none of 20 nothing but the consumers bounds it; otherwise it may have twice as many on their way."""
    controller = Controller.fresh(LIMITS, 2_000)
    controller.decide(NOTHING)
    controller.decide(seen(1, a=(20, 20, bounced)))
    assert controller.decide(seen(12, a=(20, 20, bounced))).size == 40
    assert controller.state.signatures["a"].proven is proven
    after = controller.decide(seen(14, a=(60, 60, bounced)))
    assert after.allowed["a"] == (80 if proven else 0)


def test_a_change_after_thousands_is_seen() -> None:
    """Of 5,000 that were delivered the last 12 bounced, and of newer waves nothing is known yet: it is stopped."""
    controller = Controller.fresh(LIMITS, 10_000)
    controller.decide(NOTHING)
    stretches = ((1, {"a": (5_000, 0)}), (40, {"a": (12, 12)}), (41, {"a": (100, 0)}))
    controller.decide(Seen(1_012.0, 0, True, {"a": 5_112}, {"a": 5_112}, {"a": 12}, stretches))  # noqa: FBT003
    assert controller.stopped == {"a": "12 of 12 bounced: surely over 59%, and 20% is the limit"}


def test_a_likely_one_may_not_cost_more_than_a_canary() -> None:
    """Not surely over the limit by the test of all looks, but a canary of 20 has bounced: that is enough."""
    controller = Controller.fresh(LIMITS, 2_000)
    controller.decide(NOTHING)
    controller.decide(seen(1, a=(55, 55, 21)))
    assert controller.stopped == {"a": "21 of 55 bounced: as many as a canary, and 20% is the limit"}


def test_a_full_live_queue_is_not_made_fuller() -> None:
    """At the ceiling nothing goes; just under it no more than fits."""
    controller = Controller.fresh(replace(LIMITS, ceiling=500), 10_000)
    assert controller.decide(replace(NOTHING, live=500)).action is Action.WAIT
    decision = Controller.fresh(replace(LIMITS, ceiling=500), 10_000).decide(replace(NOTHING, live=460))
    assert (decision.action, decision.size) == (Action.WAVE, 40)


def test_a_capped_rate_spaces_the_waves() -> None:
    """At 20 a second a wave is no larger than the canary of 100, and the next one may go five seconds later."""
    controller = Controller.fresh(replace(LIMITS, rate=20), 10_000)
    assert controller.decide(NOTHING).size == 100
    controller.sent(100, NOTHING.at)
    controller.state.window = 1_000
    decision = controller.decide(seen(2))
    assert (decision.action, decision.seconds) == (Action.WAIT, 3.0)
    assert controller.decide(seen(5)).size == 100


def test_consumers_that_take_nothing_stop_the_drain() -> None:
    """After the stall time, with the reason."""
    controller = Controller.fresh(LIMITS, 10_000)
    controller.decide(NOTHING)
    assert controller.decide(seen(59, 100, a=(100, 0, 0))).action is Action.WAIT
    decision = controller.decide(seen(61, 100, a=(100, 0, 0)))
    assert (decision.action, decision.why) == (
        Action.TRIP,
        "consumers took nothing for 61 s; 100 messages are in the live queue",
    )


def test_a_live_queue_that_stays_full_stops_the_drain() -> None:
    """The drain does not hold the queue for ever: after the stall time it is stopped, with the reason."""
    controller = Controller.fresh(replace(LIMITS, ceiling=500), 10_000)
    assert controller.decide(replace(NOTHING, live=700)).action is Action.WAIT
    assert controller.decide(replace(NOTHING, live=700, at=NOTHING.at + 59)).action is Action.WAIT
    decision = controller.decide(replace(NOTHING, live=700, at=NOTHING.at + 60))
    assert (decision.action, decision.why) == (
        Action.TRIP,
        "the live queue was at its ceiling of 500 for 60 s: 700 messages",
    )


def test_the_end_waits_for_the_last_outcomes() -> None:
    """All is sent: done once the grace time of the last one has passed."""
    controller = Controller.fresh(LIMITS, 100)
    controller.decide(NOTHING)
    assert controller.decide(seen(1, more=False, a=(10, 10, 0))).action is Action.WAIT
    assert controller.decide(seen(12, more=False, a=(10, 10, 0))).action is Action.DONE


def test_a_drain_in_which_all_was_stopped_has_failed() -> None:
    """One signature, stopped alone, and nothing else in the queue: that is no success."""
    controller = Controller.fresh(LIMITS, 100)
    controller.decide(NOTHING)
    controller.decide(seen(1, more=False, a=(10, 10, 10)))
    assert controller.decide(seen(12, more=False, a=(10, 10, 10))).action is Action.TRIP


def test_the_state_goes_through_json() -> None:
    """What another process reads is equal."""
    controller = Controller.fresh(LIMITS, 2_000)
    controller.decide(NOTHING)
    controller.decide(seen(1, a=(20, 20, 7), b=(3, 1, 0)))
    assert State.from_dict(json.loads(json.dumps(controller.state.as_dict()))) == controller.state


def test_a_pace_goes_through_the_ledger() -> None:
    """An adaptive pace keeps the limits that were in force when it began."""
    config = QueueConfig.model_validate(QueueConfig.defaults("webhooks") | {"loop": {"on_trip": "withdraw"}})
    pace = Pace.adaptive().bound(config, rate=5.0)
    again = Pace.from_parameters(json.loads(json.dumps(pace.as_parameters())))
    assert again == pace
    assert again.limits is not None
    assert (again.mode, again.limits.rate, again.limits.on_trip) == (Mode.ADAPTIVE, 5.0, OnTrip.WITHDRAW)
    assert Pace.from_parameters(Pace().bound(config).as_parameters()) == Pace()


@pytest.mark.parametrize("wrong", [{"bounce": 0.0}, {"total": 1.0}, {"rate": 0.0}, {"ceiling": 0}, {"grace": 0.0}])
def test_limits_that_cannot_be_kept_are_refused(wrong: dict[str, float]) -> None:
    """The message says what they are."""
    with pytest.raises(BadArgumentError):
        replace(LIMITS, **wrong)  # type: ignore[arg-type]
