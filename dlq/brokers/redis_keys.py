"""The names of the keys that the ledger and the lock of a queue have in Redis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """Key names of one queue's ledger, all in the hash slot of its DLQ.

    https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
    """

    dlq: str

    @property
    def _base(self) -> str:
        start = self.dlq.find("{")
        end = self.dlq.find("}", start + 1)
        has_tag = start >= 0 and end > start + 1
        return f"dlq-drain:{self.dlq}" if has_tag else f"dlq-drain:{{{self.dlq}}}"

    @property
    def lock(self) -> str:
        """The hash that says who holds the queue."""
        return f"{self._base}:lock"

    @property
    def fence(self) -> str:
        """The counter of fencing tokens; it has no expiry, so that tokens never repeat."""
        return f"{self._base}:fence"

    @property
    def runs(self) -> str:
        """The sorted set of run ids by their start."""
        return f"{self._base}:runs"

    def run(self, run_id: str) -> str:
        """Name the hash of a run."""
        return f"{self._base}:run:{run_id}"

    def batches(self, run_id: str) -> str:
        """Name the hash of a run's batches, by sequence number."""
        return f"{self._base}:run:{run_id}:batches"

    def originals(self, run_id: str) -> str:
        """Name the hash of a run's kept originals, by `sequence:entry`."""
        return f"{self._base}:run:{run_id}:originals"

    def signatures(self, run_id: str) -> str:
        """Name the hash of a run's signatures, by code."""
        return f"{self._base}:run:{run_id}:signatures"

    def page(self, topic: str) -> str:
        """Name the hash of a page of the notebook."""
        return f"{self._base}:page:{topic}"

    def log(self, topic: str) -> str:
        """Name the sorted set of a log of the notebook, by milliseconds."""
        return f"{self._base}:log:{topic}"

    def posts(self, run_id: str) -> str:
        """Name the hash of a run's batches that another broker was asked to take, by sequence number."""
        return f"{self._base}:run:{run_id}:posts"

    def transit(self, run_id: str, sequence: int, goal: str) -> str:
        """Name the list of a batch's messages on their way to `goal`, which lies in another slot."""
        return f"{self._base}:run:{run_id}:transit:{sequence}:{goal}"

    @property
    def transits(self) -> str:
        """Name the set of batches that have messages on their way, each `RUN SEQUENCE`."""
        return f"{self._base}:transits"

    def arrivals(self, run_id: str) -> str:
        """Name the hash of a run's batches that have arrived in this slot, by sequence and goal."""
        return f"{self._base}:run:{run_id}:arrivals"


@dataclass(frozen=True, slots=True)
class OutpostKeys(LedgerKeys):
    """The same names in the slot of another list of the queue, for passes that read there.

    `dlq` is that list's key, `owner` the queue's DLQ, so that they are not mixed up with a queue whose DLQ it is.
    """

    owner: str

    @property
    def _base(self) -> str:
        return f"{LedgerKeys(self.dlq)._base}:outpost:{self.owner}"  # noqa: SLF001 - its own kind
