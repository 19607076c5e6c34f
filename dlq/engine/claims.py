"""Under which name a run is taken back, so that whoever calls for it next goes on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.engine.run import find_run
from dlq.errors import LockedError

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue, Hold
    from dlq.records.ledger import RunRecord


def hold_of(queue: DeadLetterQueue, undone: RunRecord, who: str, asked: str, new: str) -> Hold:
    """Take the queue: under the name of a rollback that was interrupted, else as asked for, else under a new one.

    The name is written down before the lock is taken. So the lock of a rollback whose process died before it began
    is known for what it is, and need not expire first.
    """
    records = {name: queue.run(name) for name in rollbacks_of(undone)}
    interrupted = next((name for name, record in records.items() if record and record.running), "")
    unbegun = [name for name, record in records.items() if record is None]
    name = interrupted or asked or next(iter(unbegun), new)
    claim(queue, undone.run_id, name)
    try:
        return queue.acquire(name, who, take_over=True)
    except LockedError as exc:
        holder = exc.facts.get("run")
        if holder not in unbegun:
            raise
        return queue.acquire(str(holder), who, take_over=True)


def claim(queue: DeadLetterQueue, undone: str, name: str) -> None:
    """Note the name of a rollback with the run that it takes back."""
    rollbacks = rollbacks_of(find_run(queue, undone))
    if name not in rollbacks:
        queue.annotate(undone, {"rollbacks": " ".join([*rollbacks, name])})


def rollbacks_of(undone: RunRecord) -> list[str]:
    """Name the rollbacks of a run, those that never began among them."""
    return undone.facts.get("rollbacks", "").split()
