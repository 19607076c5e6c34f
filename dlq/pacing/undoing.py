"""Take back a run that its breaker has stopped, where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.engine.rollback import Undone, roll_back
from dlq.pacing.loop import TRIPPED
from dlq.pacing.pace import OnTrip, Pace

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.queues import QueueConfig
    from dlq.records.ledger import RunRecord


def withdraw_tripped(queue: DeadLetterQueue, config: QueueConfig, record: RunRecord) -> Undone | None:
    """Take a tripped run back if its pace says so, else do nothing; calling it again goes on where it stopped."""
    limits = Pace.from_parameters(record.parameters.get("pace", {})).limits
    if record.state != TRIPPED or limits is None or limits.on_trip is not OnTrip.WITHDRAW:
        return None
    reason = f"the breaker stopped it: {record.facts.get('breaker', '')}"
    return roll_back(queue, config, record.run_id, record.who, reason, rollback_id=f"{record.run_id}-withdrawn")
