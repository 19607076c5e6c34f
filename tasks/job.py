"""What a run is to do, as plain data that a task can be given and a ledger can keep."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dlq.config.queues import QueueConfig
from dlq.durations import parse_age
from dlq.engine.run import Kind, Request
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from dlq.pacing.pace import Mode, OnTrip, Pace

UNPACED_BATCH = 10_000
OnTripName = Literal["as configured", "stop", "withdraw"]
PaceName = Literal["fixed", "none", "adaptive"]


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


class Bounds(BaseModel):
    """What an adaptive pace is told for one run, over the settings of its queue; None: nothing."""

    model_config = ConfigDict(frozen=True)

    rate: float | None = None
    on_trip: OnTrip | None = None
    grace: float | None = None


def pace_of(mode: PaceName, batch: int, pause: float, max_batches: int) -> Pace:
    """Put a pace together; without pauses the runbook's batch of 100 stands for 10,000.

    An adaptive pace has no batch and no pause, and the runbook's ten batches stand for no limit.
    """
    if Mode(mode) is Mode.ADAPTIVE:
        return Pace.adaptive(max_batches=0 if max_batches == Pace().max_batches else max_batches)
    if Mode(mode) is Mode.NONE:
        return Pace(Mode.NONE, UNPACED_BATCH if batch == Pace().batch else batch, 0.0, max_batches)
    return Pace(Mode.FIXED, batch, pause, max_batches)


def bounds_of(rate: float, on_trip: OnTripName, grace: float) -> Bounds:
    """Read what the form says; 0 and `as configured` say nothing."""
    return Bounds(
        rate=rate or None, on_trip=None if on_trip == "as configured" else OnTrip(on_trip), grace=grace or None
    )


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
    bounds: Bounds = Bounds()
    limit: int | None = None

    def request(self, config: QueueConfig | None = None) -> Request:
        """Give the domain's own form, the same at each call; an adaptive pace gets the limits of its queue."""
        selector, edit = self.pick.selector(self.asked_at), self.change.edit()
        pace = self.pace.bound(config, **self.bounds.model_dump()) if config else self.pace
        return Request(self.kind, self.who, self.reason, selector, edit, pace.as_parameters(), self.limit)
