"""Steps of what comes after: budgets of automatic runs, what is left of a run, and when somebody looks again."""

from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact

from dlq.admission import budget
from dlq.admission.budget import Allowance
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.engine.run import find_run
from dlq.records import stop
from dlq.records.timeline import tell_once
from dlq.summaries.remains import Remains, note_follow_up, remains
from tasks.approving import schedule
from tasks.job import Job
from tasks.publishing import artifact_key
from tasks.retries import step

FOLLOW_UP = "follow-up/follow-up"


@step("budget")
def reserve_budget(job: Job, wanted: int) -> Allowance:
    """Ask what an automatic run may do now; a retry of the run gets what it got before."""
    settings = load_settings()
    now = datetime.now(UTC)
    with open_notebook(settings, job.queue) as notebook:
        found = budget.reserve(notebook, settings.policy_of(job.queue), job.run_id, wanted, now, settings.zone)
        notebook.note(_page(job.run_id), {"automatic": "1", "reserved_at": now.isoformat()})
        if found.later:
            tell_once(notebook, job.run_id, f"later:{found.why}", "budget", f"not now: {found.why}")
        elif found.messages is not None and found.messages < wanted:
            text = f"{found.messages:,} of {wanted:,} messages are in this hour's budget"
            tell_once(notebook, job.run_id, "budget", "budget", text)
    return found


@step("settle-budget")
def settle_budget(job: Job) -> None:
    """Give back what an automatic run reserved and did not use."""
    settings = load_settings()
    with open_queue(settings, job.queue) as (broker, _), open_notebook(settings, job.queue) as notebook:
        reserved = notebook.notes(_page(job.run_id)).get("reserved_at")
        if reserved:
            budget.give_back(
                notebook, job.run_id, datetime.fromisoformat(reserved), find_run(broker, job.run_id).redriven
            )


@step("quiet-hours")
def keep_quiet(job: Job) -> None:
    """Ask an automatic run to stop when quiet hours have begun."""
    settings = load_settings()
    with open_notebook(settings, job.queue) as notebook:
        if "automatic" not in notebook.notes(_page(job.run_id)):
            return
        quiet = budget.quiet_until(settings.policy_of(job.queue), datetime.now(UTC), settings.zone)
        if quiet is not None:
            stop.ask(notebook, job.run_id, f"quiet hours until {quiet.astimezone(settings.zone):%H:%M}", "policy")


@step("what-is-left")
def what_is_left(queue: str, run_id: str) -> Remains:
    """Look what is left of a run, and publish it."""
    settings = load_settings()
    with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
        found = remains(broker, config, notebook, run_id)
    create_table_artifact(
        table=[
            {"signature": left.key, "failure": left.text, "messages": left.count, "stopped because": left.why}
            for left in found.signatures
        ],
        key=artifact_key("remains", queue),
        description=f"{found.words}: what is left of {run_id}",
    )
    get_run_logger().info("left of %s: %s", run_id, found.words)
    return found


@step("schedule-follow-up")
def schedule_follow_up(queue: str, run_id: str, number: int, at: datetime | None = None) -> datetime | None:
    """Schedule follow-up `number` of a run, once; give its moment, None when there are to be no more.

    It comes after the policy's time, never in quiet hours; `at` is for one that could not be done when it was due.
    """
    settings = load_settings()
    rules = settings.policy_of(queue)
    if number > most_follow_ups(rules.follow_up_every, rules.follow_up_for):
        return None
    due = at or datetime.now(UTC) + rules.follow_up_every
    due = budget.quiet_until(rules, due, settings.zone) or due
    key = f"{run_id}:follow-up:{number}:{due.isoformat() if at else ''}"
    parameters: dict[str, object] = {"queue": queue, "run_id": run_id, "number": number}
    scheduled = schedule(FOLLOW_UP, parameters, due, key)
    moment = f"{due.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}"
    text = f"follow-up {number} comes at {moment}" if scheduled else f"nobody serves {FOLLOW_UP}: no follow-up"
    with open_notebook(settings, queue) as notebook:
        tell_once(notebook, run_id, key, "follow-up", text)
    return due if scheduled else None


@step("note-outcome")
def note_outcome(queue: str, run_id: str, number: int, words: str, later: datetime | None = None) -> None:
    """Put what became of follow-up `number` into the timeline of its run; one that is put off may end once more."""
    mark = f"{run_id}:followed:{number}:{later.isoformat() if later else ''}"
    with open_notebook(load_settings(), queue) as notebook:
        tell_once(notebook, run_id, mark, "follow-up", f"follow-up {number}: {words}")


@step("note-follow-up")
def remember_follow_up(queue: str, run_id: str, number: int, follow_up: str) -> None:
    """Remember which run followed up which."""
    with open_notebook(load_settings(), queue) as notebook:
        note_follow_up(notebook, run_id, number, follow_up)


@step("postpone")
def postpone(deployment: str, parameters: dict[str, Any], later: datetime, run_id: str) -> None:
    """Schedule an automatic run for a later moment; the same one once."""
    schedule(deployment, parameters, later, f"{run_id}:later:{later.isoformat()}")


def most_follow_ups(every: timedelta, lasts: timedelta) -> int:
    """Say how many follow-ups there are: as many as fit."""
    return int(lasts / every) if every else 0


def _page(run_id: str) -> str:
    return f"run:{run_id}:budget"
