"""A run: one piece of work on one queue, held by a lock, recorded in the ledger, resumable by anybody."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dlq.brokers.base import DROP, QUARANTINE, REDRIVE, Hold, Route
from dlq.engine.decide import Choose
from dlq.engine.sift import Decider, Sift, Verdict, Wave, ignore
from dlq.errors import BadArgumentError, DlqError, RunNotFoundError, RunStateError
from dlq.messages.edits import Edit
from dlq.messages.reading import Reading
from dlq.messages.selectors import Selector
from dlq.records.ledger import CLOSED, unpack_signatures

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from dlq.brokers.base import DeadLetterQueue, Receipt
    from dlq.config.settings import QueueConfig
    from dlq.records.ledger import RunRecord


class Kind(StrEnum):
    """What a run does with the messages it selects."""

    DRAIN = "drain"
    QUARANTINE = "quarantine"
    DISCARD = "discard"
    ROLLBACK = "rollback"
    RESTORE = "restore"


_ACTIONS = {Kind.DRAIN: REDRIVE, Kind.QUARANTINE: QUARANTINE, Kind.DISCARD: DROP}


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for: lies in the ledger, so that a resume does the same."""

    kind: Kind
    who: str
    reason: str = ""
    selector: Selector = field(default_factory=Selector)
    edit: Edit = field(default_factory=Edit)
    pace: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None
    archive: str = ""
    """Where a discard keeps what it drops; only what lies there is dropped."""

    @property
    def most(self) -> int | None:
        """Give how many messages it selects at most, by its limit and by the batches of its pace; None: no bound."""
        bounds = [] if self.limit is None else [self.limit]
        if self.pace.get("mode") in {"fixed", "none"} and self.pace["max_batches"]:
            bounds.append(self.pace["batch"] * self.pace["max_batches"])
        return min(bounds, default=None)

    def parameters(self) -> str:
        """Render as the ledger keeps it."""
        return json.dumps(
            {
                "selector": self.selector.model_dump(mode="json"),
                "edit": self.edit.model_dump(mode="json"),
                "pace": self.pace,
                "limit": self.limit,
                **({"archive": self.archive} if self.archive else {}),
            }
        )

    @classmethod
    def from_record(cls, record: RunRecord) -> Request:
        """Read it back from the ledger."""
        parameters = record.parameters
        return cls(
            Kind(record.kind),
            record.who,
            record.reason,
            Selector.model_validate(parameters.get("selector", {})),
            Edit.model_validate(parameters.get("edit", {})),
            parameters.get("pace", {}),
            parameters.get("limit"),
            parameters.get("archive", ""),
        )


@dataclass(slots=True)
class Run:
    """A run that holds its queue. Call `wave` until it says `ended`, then `finish`; `renew` while waiting."""

    queue: DeadLetterQueue
    config: QueueConfig
    hold: Hold
    request: Request
    sift: Sift
    reading: Reading
    decide: Choose

    @property
    def run_id(self) -> str:
        """The run's name in the ledger."""
        return self.hold.run_id

    @property
    def record(self) -> RunRecord:
        """The run as the ledger has it now."""
        return find_run(self.queue, self.run_id)

    def wave(self, number: int, budget: int | None = None) -> Wave:
        """Do wave `number` up to `budget` messages; a wave that the ledger has done already does nothing."""
        record = self.record
        if record.wave > number:
            return Wave(number, ended=self.sift.remaining == 0)
        if record.wave == number and budget is not None:
            budget = max(0, budget - record.wave_selected)
        limit = self.request.limit
        if limit is not None:
            left = max(0, limit - record.selected)
            budget = left if budget is None else min(left, budget)
        wave = self.sift.wave(number, budget)
        record = self.record  # a broker that confirms late has confirmed all of the wave when the ledger is asked
        if limit is not None and record.selected >= limit:
            return Wave(number, wave.scanned, wave.selected, wave.refused, ended=True)
        return wave

    @property
    def ended(self) -> bool:
        """Say whether the run was closed, its pass is at its end, or it has selected as much as it may."""
        limit, record = self.request.limit, self.record
        return self.sift.remaining == 0 or record.state in CLOSED or (limit is not None and record.selected >= limit)

    def renew(self) -> None:
        """Keep the lock while nothing is being moved."""
        self.queue.renew(self.hold)

    def finish(self, state: str = "done", note: str = "") -> RunRecord:
        """Bring the kept messages back into order, close the run and give the queue back."""
        self.sift.complete()
        if self.request.archive:
            from dlq.engine.discard import close  # noqa: PLC0415 - few runs have an archive

            close(self.queue, self.record, self.request.archive)  # first: a closed run is not come back to
        self.queue.finish(self.hold, state, {"note": note} if note else {})
        record = self.record
        self.queue.release(self.hold)
        return record

    def abandon(self, note: str) -> None:
        """Close the run as stopped and give the queue back, as far as the broker answers; it can be resumed."""
        self.queue.close()  # whatever was on its way is settled by the ledger: a new connection asks nothing of it
        with suppress(DlqError):
            self.queue.finish(self.hold, "stopped", {"note": note[:500]})
            self.queue.release(self.hold)


def new_run_id(queue: str) -> str:
    """Make a name that says which queue and when."""
    return f"{queue}-{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(3)}"


def run_id_of(queue: str, asked_at: datetime, flow_run: UUID) -> str:
    """Name the run of a flow run, such as `webhooks-2026-11-24-1532-7f3a9c`: the same to all who ask."""
    return f"{queue}-{asked_at.astimezone(UTC):%Y-%m-%d-%H%M}-{flow_run.hex[-6:]}"


def find_run(queue: DeadLetterQueue, run_id: str) -> RunRecord:
    """Look a run up or raise RunNotFoundError."""
    record = queue.run(run_id)
    if record is None:
        raise RunNotFoundError(run=run_id)
    return record


def start(
    queue: DeadLetterQueue,
    config: QueueConfig,
    request: Request,
    run_id: str | None = None,
    *,
    watch: Callable[[Receipt, Verdict], None] | None = None,
) -> Run:
    """Begin a run, or go on with it when `run_id` is in the ledger already (a retry of the same flow run).

    One that has ended already is opened as it is, and moves nothing. RunStateError when it was rolled back.
    """
    run_id = run_id or new_run_id(config.name)
    hold = queue.acquire(run_id, request.who, take_over=True)
    run = _open(queue, config, request, hold, watch)
    if run.sift.record.state == "rolled_back":
        queue.release(hold)
        raise RunStateError(f"run {run_id} on queue {config.name} was rolled back; drain again with a new run.")
    return run


def resume(
    queue: DeadLetterQueue,
    config: QueueConfig,
    run_id: str,
    who: str,
    *,
    take_over: bool = False,
    watch: Callable[[Receipt, Verdict], None] | None = None,
) -> Run:
    """Go on with a run that died: its selection, parameters and counts come from the ledger."""
    record = find_run(queue, run_id)
    if record.kind == Kind.ROLLBACK:
        raise BadArgumentError(f"run {run_id} is a rollback: `dlq rollback {record.undoes}` goes on with it.")
    if record.kind == Kind.RESTORE:
        raise BadArgumentError(f"run {run_id} restores an archive: `dlq restore ARCHIVE` goes on with it.")
    _refuse_closed(record)
    hold = queue.acquire(run_id, who, take_over=take_over)
    run = _open(queue, config, Request.from_record(record), hold, watch)
    try:
        _refuse_closed(run.sift.record)  # somebody else may have ended it before the lock was ours
    except RunStateError:
        queue.release(hold)
        raise
    return run


def _refuse_closed(record: RunRecord) -> None:
    if record.state in CLOSED:
        state = record.state.replace("_", " ")
        raise RunStateError(f"run {record.run_id} is {state}; there is nothing to resume. `dlq show` has its result.")


def decider(request: Request, reading: Reading) -> Choose:
    """Build what decides on each message of a request."""
    return Choose(_ACTIONS[request.kind], request.selector, request.edit, reading)


def _open(
    queue: DeadLetterQueue,
    config: QueueConfig,
    request: Request,
    hold: Hold,
    watch: Callable[[Receipt, Verdict], None] | None,
) -> Run:
    route = Route()
    fields = {
        "queue": config.name,
        "kind": request.kind.value,
        "who": request.who,
        "reason": request.reason,
        "parameters": request.parameters(),
        "started_at": str(int(time.time() * 1000)),
    }
    reading = Reading.of(config)
    try:
        record = queue.begin(hold, route, 0, fields)
    except DlqError:
        # Nothing has begun, so nothing is to be resumed: the next one need not wait for the lock to expire.
        queue.close()
        with suppress(DlqError):
            queue.release(hold)
        raise
    reading.book.load(unpack_signatures(queue.signatures(hold.run_id)))
    choose = decider(request, reading)
    decide: Decider = choose
    if request.archive:
        from dlq.engine.archived import archived  # noqa: PLC0415 - few runs need it and what it imports

        decide = archived(queue, hold.run_id, request.archive, reading)
    sift = Sift(queue, hold, route, record, decide, watch or ignore)
    return Run(queue, config, hold, request, sift, reading, choose)
