"""What is broken under which journey."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from dlq.admission.approvals import Answer
from dlq.admission.budget import Allowance

LOOP = "tests/runbook/test_loop_journeys.py"
APPROVAL = "tests/runbook/test_approval_journey.py"
GUARD = "tests/runbook/test_guard_journey.py"
FOLLOW_UP = "tests/runbook/test_follow_up_journey.py"
KILLED = "tests/runbook/test_killed_incident.py"


@dataclass(frozen=True, slots=True)
class Break:
    """One fault: `place` is module:name or module:class.name, `made` makes what comes there of what was there."""

    what: str
    file: str
    journey: str
    """A test of the file, without its parameters."""
    place: str
    made: Callable[[Any], Any]


def gives(value: object) -> Callable[[Any], Any]:
    """Make something that does nothing, and gives this."""
    return lambda _was: lambda *_args, **_named: value


def and_then(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make something that does what it did, and changes what it gives."""
    return lambda was: lambda *args, **named: change(was(*args, **named))


def no_limit(was: Any) -> Any:
    """Leave the limit of a form out."""
    return lambda said: was({**said, "limit": None})


def yes(was: Any) -> Any:
    """Take silence, or a no, for a yes."""
    return lambda notebook, run_id, plan, answer: was(
        notebook, run_id, plan, answer.model_copy(update={"answer": Answer.APPROVE})
    )


def unaware(was: Any) -> Any:
    """Admit what is refused without a word in ledger or timeline."""
    return lambda notebook, run_id, found, override, who: {} if override else was(notebook, run_id, found, "", who)


def overdone(was: Any) -> Any:
    """Let the consumers' pace count for nothing: a wave is as large as the live queue's ceiling."""

    def decide(self: Any, seen: Any) -> Any:
        self.state.pull = self.limits.ceiling
        return was(self, seen)

    return decide


def everything_ours(_was: Any) -> Any:
    """Take whatever arrives for a bounce of the run's first message."""

    def found(self: Any, identities: set[bytes]) -> dict[bytes, list[tuple[int, int]]]:
        wave, codes, _ = next(self._rows())
        return {identity: [(wave, int(codes[0]))] for identity in identities}

    return found


def another_run(_was: Any) -> Any:
    """Name the ledger run anew in each attempt."""
    return lambda queue: f"{queue}-{uuid4().hex}"


BREAKS = (
    Break("no canary", LOOP, "test_an_outage_that_has_healed", "dlq.pacing.pace:Limits.canary", gives(600)),
    Break(
        "no breaker",
        LOOP,
        "test_an_outage_that_heals_between_two_drains",
        "dlq.pacing.controller:Controller._judge",
        gives(""),
    ),
    Break(
        "a raw ratio instead of an interval",
        LOOP,
        "test_an_outage_that_heals_midway",
        "dlq.pacing.judging:is_over",
        lambda _was: lambda hits, trials, limit, _alpha: hits > trials * limit,
    ),
    Break(
        "no breaker",
        LOOP,
        "test_an_outage_that_begins_midway",
        "dlq.pacing.controller:Controller._judge",
        gives(""),
    ),
    Break(
        "no signature is judged",
        LOOP,
        "test_a_poison_type_among_healthy_ones",
        "dlq.pacing.controller:Controller._judge",
        gives(""),
    ),
    Break(
        "nobody counts returns",
        LOOP,
        "test_what_bounces_again_and_again_is_put_aside",
        "dlq.engine.bounces:_note_poison",
        gives(None),
    ),
    Break("deaf to the pace", LOOP, "test_slow_workers", "dlq.pacing.controller:Controller.decide", overdone),
    Break("the breaker tells nobody", LOOP, "test_dead_workers", "dlq.pacing.loop:tell", gives(None)),
    Break(
        "nothing is withdrawn", LOOP, "test_a_trip_that_withdraws", "dlq.pacing.undoing:withdraw_tripped", gives(None)
    ),
    Break(
        "every new failure is a bounce",
        LOOP,
        "test_a_flood_of_new_failures_during_the_drain",
        "dlq.pacing.watch:_Ledger.of",
        everything_ours,
    ),
    Break(
        "no memory", LOOP, "test_a_killed_drain_is_resumed", "dlq.pacing.loop:recall", and_then(lambda got: type(got)())
    ),
    Break(
        "the limit is lost", APPROVAL, "test_approved_with_a_lower_limit", "dlq.admission.approvals:read_form", no_limit
    ),
    Break("a no counts as a yes", APPROVAL, "test_rejected", "dlq.admission.approvals:_settle", yes),
    Break("no question", APPROVAL, "test_a_discard_waits_for_a_person", "dlq.admission.approvals:reasons", gives(())),
    Break("a plan is never void", APPROVAL, "test_a_stale_approval_is_void", "tasks.admission:changed", gives("")),
    Break("silence is a yes", APPROVAL, "test_silence_is_a_rejection", "dlq.admission.approvals:_settle", yes),
    Break(
        "a crash forgets the approval",
        APPROVAL,
        "test_a_crash_after_the_yes_asks_nothing_again",
        "flows.admission:as_begun",
        gives(None),
    ),
    Break(
        "a crash forgets the limit",
        APPROVAL,
        "test_a_lowered_limit_outlives_a_crash",
        "dlq.admission.approvals:read_form",
        no_limit,
    ),
    Break("no pre-flight", GUARD, "test_dead_consumers_refuse", "dlq.cli.guard:admit", gives({})),
    Break("no pre-flight", GUARD, "test_a_live_queue_that_stands_refuses", "dlq.cli.guard:admit", gives({})),
    Break("an override in silence", GUARD, "test_an_override_is_remembered", "dlq.cli.guard:admit", unaware),
    Break(
        "no question",
        GUARD,
        "test_level_3_needs_a_person_and_remembers_who",
        "dlq.admission.approvals:reasons",
        gives(()),
    ),
    Break(
        "a refusal in silence",
        FOLLOW_UP,
        "test_dead_consumers_refuse_an_incident",
        "flows.admission:tell_people",
        gives(None),
    ),
    Break(
        "the follow-up does nothing",
        FOLLOW_UP,
        "test_a_healed_signature_is_drained_by_the_follow_up",
        "flows.follow_up:work_through",
        gives(None),
    ),
    Break(
        "follow-ups without an end",
        FOLLOW_UP,
        "test_what_does_not_heal_becomes_a_list_for_people",
        "tasks.following:most_follow_ups",
        gives(1_000),
    ),
    Break(
        "the last one ends in silence",
        FOLLOW_UP,
        "test_the_last_follow_up_is_refused",
        "flows.follow_up:_leave_to_people",
        gives(None),
    ),
    Break(
        "no budget",
        FOLLOW_UP,
        "test_the_budget_of_an_hour_holds",
        "dlq.admission.budget:reserve",
        gives(Allowance(None)),
    ),
    Break(
        "no quiet hours",
        FOLLOW_UP,
        "test_quiet_hours_put_a_follow_up_off",
        "dlq.admission.budget:quiet_until",
        gives(None),
    ),
    Break(
        "a retry begins another run",
        KILLED,
        "test_a_kill_in_any_phase_is_gone_on_with[after-drain_wave]",
        "flows.incident:ledger_id",
        another_run,
    ),
    Break(
        "a retry assesses anew",
        KILLED,
        "test_a_kill_in_any_phase_is_gone_on_with[after-watch_wave]",
        "dlq.summaries.first_look:kept",
        gives(None),
    ),
)
