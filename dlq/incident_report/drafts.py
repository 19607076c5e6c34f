"""Drafts for people to send: the status page and the affected customers. They name no internals and no failures."""

from dataclasses import dataclass
from datetime import datetime, tzinfo

from dlq.incident_report.times import Times
from dlq.notices import State
from dlq.summaries.story import Story

PUBLIC = {
    State.RESOLVED: "resolved",
    State.PENDING: "monitoring",
    State.PARTIAL: "monitoring",
    State.VERIFYING: "monitoring",
    State.DRAINING: "identified",
    State.FAILED: "identified",
}
"""The words that status pages use, by the state of an incident; any other state is `investigating`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text to be looked at, and then sent."""

    title: str
    text: str


def status_page(queue: str, state: State, times: Times, story: Story | None, zone: tzinfo) -> Draft:
    """Draft the next entry of the status page; without a story nothing has been moved yet."""
    title = f"Delayed processing of {queue}"
    since = _clock(times.failed or times.alerted, zone)
    began = f"Since {since}, some {queue}" if since else f"Some {queue}"
    if story is None:
        return Draft(title, f"{began} are processed late. We are looking into it.")
    outcome = story.outcome
    left = outcome.pending + story.depth
    until = _clock(times.resolved, zone)
    if state is State.RESOLVED and until:
        began = f"From {since} to {until}, some {queue}" if since else f"Until {until}, some {queue}"
        first = f"{began} were processed late."
    else:
        first = f"{began} are processed late."
    parts = [first, f"{outcome.delivered:,} delayed items have been processed."]
    if left:
        parts.append(f"Up to {left:,} are still to be processed; we go on with them.")
    if outcome.unexplained:
        parts.append("We are checking the state of the others.")
    return Draft(title, " ".join(parts))


def customers(queue: str, page: Draft) -> Draft:
    """Draft a message to affected customers; whom it goes to stands above it in the report."""
    title = f"About your delayed {queue}"
    whom = "Dear customer,\n\n"
    said = f"some of your {queue} were processed later than usual.\n\n{page.text}\n\n"
    ask = "You need not do anything. If something looks wrong on your side, please answer this message."
    return Draft(title, f"{whom}{said}{ask}")


def _clock(moment: datetime | None, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z") if moment else ""
