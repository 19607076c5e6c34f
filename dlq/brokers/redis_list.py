"""Dead letter queues that are Redis lists: producers push on the left, consumers pop on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.brokers.base import Batch, Hold, Pending, Place, Receipt, Route
from dlq.brokers.redis_lists import RedisLists
from dlq.brokers.redis_wire import RedisWire, Wire

if TYPE_CHECKING:
    from dlq.config.settings import QueueConfig
    from dlq.records.ledger import RunRecord


class RedisListQueue(RedisLists):
    """One queue whose lists, lock and ledger are on one Redis, or in one hash slot of a cluster."""

    def __init__(
        self,
        config: QueueConfig,
        redis: str | RedisWire,
        *,
        lock_seconds: float = 30,
        ledger_days: float = 30,
    ) -> None:
        """Prepare; the first call connects. `redis` is an address (see redis_address) or what leads to a cluster."""
        wire = Wire(redis) if isinstance(redis, str) else redis
        super().__init__(config, wire, lock_seconds=lock_seconds, ledger_days=ledger_days)

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin pass number `step` of a run: freeze its selection."""
        return self._begin(hold, self._keys, self._lists[route.source], step, fields, length)

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Do one batch atomically, with its ledger entry."""
        run = self._keys.run(hold.run_id)
        keys = [
            self._lists[route.source],
            self._keys.fence,
            self._keys.lock,
            run,
            self._keys.batches(hold.run_id),
            self._keys.originals(hold.run_id),
            self._keys.signatures(hold.run_id),
            self._lists[route.redrive_to],
            self._lists[Place.QUARANTINE],
            self._keys.run(route.undoes) if route.undoes else run,
        ]
        args = self._commit_args(hold, batch)
        return self._wire.script(self._what("commit"), lambda answer: self._receipt(hold, answer), "commit", keys, args)
