"""What runs that nobody started may do: not in quiet hours, and so many messages an hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

    from dlq.config.policy_table import Policy
    from dlq.records.notebook import Notebook


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many messages an automatic run may redrive (None: no limit); `later`: not now, but from this moment on."""

    messages: int | None
    later: datetime | None = None
    why: str = ""


def quiet_until(policy: Policy, now: datetime, zone: tzinfo) -> datetime | None:
    """Say until when it is quiet, None when it is not; an aware moment in UTC."""
    hours = policy.quiet_hours
    end = hours.until(now.astimezone(zone)) if hours else None
    return end.astimezone(UTC) if end else None


def reserve(notebook: Notebook, policy: Policy, run_id: str, wanted: int, now: datetime, zone: tzinfo) -> Allowance:
    """Take messages of this hour's budget for an automatic run; a retry of the run gets what it got before."""
    quiet = quiet_until(policy, now, zone)
    if quiet is not None:
        return Allowance(0, quiet, f"quiet hours until {quiet.astimezone(zone):%H:%M}")
    budget = policy.budget_per_hour
    if budget is None:
        return Allowance(None)
    hour = now.replace(minute=0, second=0, microsecond=0)
    topic = f"budget:{hour:%Y-%m-%dT%H}"
    page = notebook.notes(topic)
    if run_id in page:
        granted = int(page[run_id])
    else:
        # What is counted and then lost with a process makes the budget smaller, never larger.
        over = max(0, notebook.count(topic, "*", wanted) - budget)
        granted = max(0, wanted - over)
        if over:
            notebook.count(topic, "*", -(wanted - granted))
        granted = int(notebook.note_once(topic, run_id, str(granted)))
    if granted or not wanted:
        return Allowance(granted)
    return Allowance(0, hour + timedelta(hours=1), f"the budget of {budget:,} messages an hour is used up")


def give_back(notebook: Notebook, run_id: str, reserved_at: datetime, used: int) -> None:
    """Return what a run reserved and did not use; calling it again does nothing."""
    topic = f"budget:{reserved_at:%Y-%m-%dT%H}"
    granted = int(notebook.notes(topic).get(run_id, "0"))
    if granted > used and notebook.note_once(topic, f"{run_id}:used", str(used)) == str(used):
        notebook.note(topic, {run_id: str(used)})
        notebook.count(topic, "*", used - granted)
