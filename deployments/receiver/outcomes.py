"""What can become of an alert."""

from dataclasses import dataclass
from enum import StrEnum

from deployments.receiver.payload import FiringOrResolved


class Outcome(StrEnum):
    """What became of an alert on a queue."""

    STARTED = "started"
    JOINED = "joined"
    REPEATED = "repeated"
    CAPPED = "capped"
    REFUSED = "refused"
    RESOLVED = "resolved"
    UNKNOWN = "resolved, of no incident"
    UNMAPPED = "unmapped"
    NO_QUEUE = "no such queue"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one alert on one queue; `run_id` is the ledger's name of the run that it belongs to."""

    alert: FiringOrResolved
    queue: str
    outcome: Outcome
    run_id: str = ""
    link: str = ""
    note: str = ""
