"""Who is called, and when: the runbook's levels and response times, from the alert on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dlq.config import policy
from dlq.durations import format_duration
from dlq.records.timeline import tell_once

if TYPE_CHECKING:
    from dlq.config.policy_table import Policy
    from dlq.config.settings import QueueConfig
    from dlq.records.notebook import Notebook

_SINCE = "since"


@dataclass(frozen=True, slots=True)
class State:
    """How a queue stands: depth in messages, growth in messages a minute (None: unknown)."""

    depth: int
    growth_per_minute: float | None = None
    corrupted: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A level that is called, why, and how it is reached (empty: no contact is set)."""

    level: policy.Level
    why: str
    contact: str

    @property
    def words(self) -> str:
        """Say it in one line."""
        reached = f", {self.contact}" if self.contact else ""
        return f"level {self.level.number}, {self.level.who}{reached}: {self.why}"


def due(config: QueueConfig, state: State, since: datetime, now: datetime) -> list[tuple[policy.Level, str]]:
    """List the levels that are to be called by now, with the reason, lowest first; none when the queue is well.

    A level is called when its threshold is passed. From then on the response time of the severity counts: each time
    that it has passed without a solution, the next level is called too.
    """
    called: dict[int, str] = {}
    thresholds = config.thresholds
    if state.depth > thresholds.depth_warn:
        called[1] = f"{state.depth:,} messages, over {thresholds.depth_warn:,}"
    if state.growth_per_minute is not None and state.growth_per_minute > thresholds.growth_per_minute:
        called[2] = f"growing by {state.growth_per_minute:,.0f} a minute, over {thresholds.growth_per_minute:,}"
    if state.depth > thresholds.depth_emergency:
        called[3] = f"{state.depth:,} messages, over {thresholds.depth_emergency:,}"
    issue = _issue(config, state)
    if called and issue is not None:
        passed = int((now - since) / issue.respond_within)
        first = min(called)
        for number in range(first + 1, min(first + passed, policy.LEVELS[-1].number) + 1):
            wait = format_duration(issue.respond_within * (number - first))
            called.setdefault(number, f"not resolved {wait} after the alert")
    return [(policy.LEVELS[number - 1], called[number]) for number in sorted(called)]


def next_due(config: QueueConfig, state: State, since: datetime, now: datetime) -> datetime | None:
    """Say when the next level is due if nothing changes; None when nobody is left to call."""
    issue, called = _issue(config, state), due(config, state, since, now)
    if issue is None or not called or called[-1][0] == policy.LEVELS[-1]:
        return None
    return since + issue.respond_within * (int((now - since) / issue.respond_within) + 1)


def escalate(
    notebook: Notebook, config: QueueConfig, rules: Policy, run_id: str, state: State, since: datetime
) -> list[Call]:
    """Note who is to be called now, in the timeline too; give those that were not called before, each once a run.

    Calls that were noted but, since a process died, perhaps not told are given again until `called` marks them.
    """
    calls = []
    done = notebook.notes(_topic(run_id))
    for level, why in due(config, state, since, datetime.now(UTC)):
        if str(level.number) in done:
            continue
        call = Call(level, why, rules.contacts.get(str(level.number), ""))
        tell_once(notebook, run_id, f"escalation:{level.number}", "escalation", call.words)
        calls.append(call)
    return calls


def called(notebook: Notebook, run_id: str, call: Call) -> None:
    """Mark that a level was told."""
    notebook.note_once(_topic(run_id), str(call.level.number), datetime.now(UTC).isoformat())


def levels_called(notebook: Notebook, run_id: str) -> list[int]:
    """List the levels that were called for a run."""
    return sorted(int(number) for number in notebook.notes(_topic(run_id)) if number != _SINCE)


def since(notebook: Notebook, run_id: str, at: datetime | None = None) -> datetime | None:
    """Give the moment from which response times count; `at` begins it, unless it has begun. None: not at all."""
    if at is not None:
        return datetime.fromisoformat(notebook.note_once(_topic(run_id), _SINCE, at.isoformat()))
    said = notebook.notes(_topic(run_id)).get(_SINCE)
    return datetime.fromisoformat(said) if said else None


def _issue(config: QueueConfig, state: State) -> policy.Issue | None:
    """Give the row of the quick reference that the state is in, the most urgent first."""
    thresholds = config.thresholds
    if state.growth_per_minute is not None and state.growth_per_minute > thresholds.growth_per_minute:
        return policy.GROWTH
    if state.depth > thresholds.depth_warn:
        return policy.DEPTH
    return policy.CORRUPTION if state.corrupted else None


def _topic(run_id: str) -> str:
    return f"run:{run_id}:escalation"


def response_time(config: QueueConfig, state: State) -> timedelta | None:
    """Give the time in which somebody is to answer; None when nothing is wrong."""
    issue = _issue(config, state)
    return issue.respond_within if issue else None
