"""What is left of a run: what it stopped, what came back late, what is in quarantine, what it never got to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.engine.assess import assess
from dlq.engine.bounces import stopped
from dlq.engine.preview import preview
from dlq.engine.run import Request, find_run
from dlq.engine.verify import verify
from dlq.messages.reading import Reading

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.records.notebook import Notebook


@dataclass(frozen=True, slots=True)
class Left:
    """The messages of one signature that are left in the DLQ; `why` it was stopped, empty when it was not."""

    key: str
    text: str
    count: int
    why: str = ""

    @property
    def words(self) -> str:
        """Say it in one line."""
        return f"{self.count:,} of {self.text} ({self.key})" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left. Counts are messages; `depth` and `quarantine` are of the whole queue, `pending` of the runs."""

    depth: int
    quarantine: int
    signatures: tuple[Left, ...]
    pending: int = 0
    """Messages that no worker has taken yet: what becomes of them is not known."""

    @property
    def nothing(self) -> bool:
        """Say whether nobody needs to come back."""
        return not self.signatures and not self.quarantine and not self.pending

    @property
    def words(self) -> str:
        """Say it in one line."""
        if self.nothing:
            return "nothing is left"
        most = ", ".join(f"{left.count:,} of {left.text}" for left in self.signatures[:3])
        more = f" and {len(self.signatures) - 3} more signatures" if len(self.signatures) > 3 else ""  # noqa: PLR2004
        in_quarantine = f"{self.quarantine:,} in quarantine" if self.quarantine else ""
        waiting = f"{self.pending:,} wait for the workers" if self.pending else ""
        return "; ".join(filter(None, (most + more, in_quarantine, waiting)))


def remains(queue: DeadLetterQueue, config: QueueConfig, notebook: Notebook, run_id: str) -> Remains:
    """Look what is left of a run and of its follow-ups: in the DLQ, of what it would select, stopped or got back."""
    why: dict[str, str] = {}
    names = (run_id, *follow_ups(notebook, run_id))
    for name in names:
        record = queue.run(name)
        for found in stopped(record) if record else ():
            for key in (found.key, *found.became):
                why[key] = found.why
    request = Request.from_record(find_run(queue, run_id))
    request = Request(request.kind, request.who, selector=request.selector)
    wanted = {key for key, _ in preview(queue, config, request).signatures} | why.keys()
    seen = assess(queue, config)
    left = tuple(
        Left(found.signature.key, str(found.signature), found.count, why.get(found.signature.key, ""))
        for found in seen.signatures
        if found.signature.key in wanted
    )
    reading = Reading.of(config)
    pending = sum(verify(queue, name, reading).pending for name in names if queue.run(name))
    return Remains(seen.depth, queue.depth(Place.QUARANTINE), left, pending)


def follow_ups(notebook: Notebook, run_id: str) -> list[str]:
    """List the runs that followed up a run, in their order."""
    page = notebook.notes(_topic(run_id))
    return [page[number] for number in sorted(page, key=int)]


def note_follow_up(notebook: Notebook, run_id: str, number: int, follow_up: str) -> None:
    """Remember that a run is follow-up `number` of another."""
    notebook.note(_topic(run_id), {str(number): follow_up})


def _topic(run_id: str) -> str:
    return f"run:{run_id}:follow-ups"
