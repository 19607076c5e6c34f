"""What a run is to do, as plain data that a task can be given and a ledger can keep."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dlq.durations import parse_age
from dlq.edits import Edit
from dlq.pace import Mode, Pace
from dlq.run import Kind, Request
from dlq.selectors import Selector

UNPACED_BATCH = 10_000
PaceName = Literal["fixed", "none"]


class Pick(BaseModel):
    """Which messages are meant. Ages are texts such as `2h`, conditions such as `payload.region=eu`."""

    model_config = ConfigDict(frozen=True)

    types: list[str] | None = None
    signatures: list[str] | None = None
    error: str | None = None
    older_than: str | None = None
    newer_than: str | None = None
    attempts_min: int | None = None
    where: list[str] | None = None
    corrupted: bool = False

    def selector(self, now: datetime) -> Selector:
        """Give the domain's selector; ages count from `now`. BadArgumentError says what cannot be used."""
        return Selector(
            types=tuple(self.types or ()),
            signatures=tuple(self.signatures or ()),
            error=self.error or None,
            older_than=parse_age(self.older_than, now) if self.older_than else None,
            newer_than=parse_age(self.newer_than, now) if self.newer_than else None,
            now=now,
            attempts_min=self.attempts_min,
            where=self.where or (),
            corrupted=self.corrupted,
        )


class Change(BaseModel):
    """What is edited on the way: `FIELD=VALUE` texts and field names."""

    model_config = ConfigDict(frozen=True)

    sets: list[str] | None = None
    unsets: list[str] | None = None
    increments: list[str] | None = None

    def edit(self) -> Edit:
        """Give the domain's edit. BadArgumentError says what cannot be used."""
        return Edit(set=tuple(self.sets or ()), unset=tuple(self.unsets or ()), increment=tuple(self.increments or ()))


def pace_of(mode: PaceName, batch: int, pause: float, max_batches: int) -> Pace:
    """Put a pace together; without pauses the runbook's batch of 100 stands for 10,000."""
    if Mode(mode) is Mode.NONE:
        return Pace(Mode.NONE, UNPACED_BATCH if batch == Pace().batch else batch, 0.0, max_batches)
    return Pace(Mode.FIXED, batch, pause, max_batches)


class Job(BaseModel):
    """A run to be begun or gone on with; the same run id goes on where the ledger says."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    queue: str
    kind: Kind
    who: str
    asked_at: datetime
    reason: str = ""
    pick: Pick = Pick()
    change: Change = Change()
    pace: Pace = Pace()
    limit: int | None = None

    def request(self) -> Request:
        """Give the domain's own form, the same at each call."""
        selector, edit = self.pick.selector(self.asked_at), self.change.edit()
        return Request(self.kind, self.who, self.reason, selector, edit, self.pace.as_parameters(), self.limit)
