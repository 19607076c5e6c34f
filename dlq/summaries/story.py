"""A run told from its ledger: who asked for what, how it went, what became of the messages."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import pandas as pd

from dlq.brokers.base import DeadLetterQueue, Place
from dlq.config.settings import QueueConfig
from dlq.engine.bounces import stopped
from dlq.engine.verify import Outcome, verify
from dlq.errors import RunNotFoundError
from dlq.messages.reading import Reading
from dlq.messages.signatures import Signature
from dlq.records.ledger import RunRecord, unpack_signatures
from dlq.summaries import frames
from dlq.summaries.success import success_of


@dataclass(frozen=True, slots=True)
class Story:
    """A run with the outcome of its verification. `names` are the signatures by their code in the ledger."""

    record: RunRecord
    outcome: Outcome
    names: dict[int, str]
    course: tuple[frames.CoursePoint, ...]
    waves: pd.DataFrame
    verified_at: datetime
    depth: int
    """Messages in the DLQ at the verification, those that came back among them."""
    keys: dict[int, str] = field(default_factory=dict)
    """The keys of the signatures, by their code in the ledger."""

    @classmethod
    def of(cls, queue: DeadLetterQueue, config: QueueConfig, run_id: str) -> Self:
        """Verify a run and read its ledger; RunNotFoundError when there is none."""
        reading = Reading.of(config)
        outcome = verify(queue, run_id, reading)
        known = {code: Signature(*parts) for code, parts in unpack_signatures(queue.signatures(run_id)).items()}
        names = {code: str(signature) for code, signature in known.items()}
        keys = {code: signature.key for code, signature in known.items()}
        record = queue.run(run_id)
        if record is None:  # it expired since the line above
            raise RunNotFoundError(run=run_id)
        batches = list(queue.batches(run_id))
        course, waves = frames.course(record, batches), frames.waves(batches)
        return cls(record, outcome, names, course, waves, datetime.now(UTC), queue.depth(Place.DLQ), keys)

    def summary(self) -> dict[str, Any]:
        """Give the counts that programs read, with the names that the `dlq` command uses."""
        row: dict[str, Any] = frames.rows(frames.conservation_frame(self.outcome))[0]
        return {
            "run_id": self.record.run_id,
            "queue": self.record.queue,
            "state": self.record.state,
            **row,
            "redriven": self.record.redriven,
            "kept": self.record.kept,
            "maybe_duplicated": self.record.maybe_duplicated,
            "conservation": self.outcome.conservation,
            "verdict": self.outcome.verdict,
            "success_rate": success_of(self.record.facts),
            "breaker": self.outcome.breaker,
            "stopped": [asdict(halted) for halted in stopped(self.record)],
        }
