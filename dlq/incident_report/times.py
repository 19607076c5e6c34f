"""How long it took: from the first failure and the alert to the first person, the first action and the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dlq.durations import format_duration
from dlq.engine.assess import Assessment
from dlq.notices import State
from dlq.records.timeline import Event
from dlq.summaries.story import Story

PROGRAMS = frozenset({"", "alertmanager", "nobody", "prefect"})
"""Who is no person."""
_ACTS = ("action", "scale", "wave", "quarantine", "rollback", "discard")


@dataclass(frozen=True, slots=True)
class Times:
    """The moments of an incident; None where there was none, or nobody knows."""

    failed: datetime | None
    """The first failure among the messages that lay in the DLQ."""
    alerted: datetime | None
    acknowledged: datetime | None
    acted: datetime | None
    resolved: datetime | None

    @property
    def since(self) -> datetime | None:
        """From when the times count: the alert, else the first failure."""
        return self.alerted or self.failed

    def rows(self) -> list[tuple[str, str]]:
        """Say each time, as a duration and from when, or why there is none."""
        origin = "the alert" if self.alerted else "the first failure"
        detected = self._after(self.failed, self.alerted, "the first failure", "no alert started this")
        return [
            ("Time to detect", detected),
            ("Time to acknowledge", self._after(self.since, self.acknowledged, origin, "no person has answered")),
            ("Time to first action", self._after(self.since, self.acted, origin, "nothing was done")),
            ("Time to resolve", self._after(self.since, self.resolved, origin, "not resolved")),
        ]

    @staticmethod
    def _after(start: datetime | None, end: datetime | None, origin: str, without: str) -> str:
        if end is None:
            return without
        if start is None or end < start:
            return f"unknown: {origin} has no time before it"
        return f"{format_duration(end - start)} after {origin}"


def times(story: Story, before: Assessment | None, events: Sequence[Event], state: State) -> Times:
    """Work the moments out from the chronicle."""
    first = before.oldest if before else None
    alerted = next((event.at for event in events if event.kind == "alert"), None)
    since = alerted or first
    later = [event for event in events if since is None or event.at >= since]
    acknowledged = next((event.at for event in later if _is_person(event.who)), None)
    acted = next((event.at for event in later if event.kind.startswith(_ACTS)), None)
    return Times(first, alerted, acknowledged, acted, story.record.ended_at if state is State.RESOLVED else None)


def _is_person(who: str) -> bool:
    return who.lower() not in PROGRAMS and not who.startswith("alert ")
