"""A dry run: what a request would do, without a lock and without a write."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlq.brokers.base import EDIT, KEEP, Place
from dlq.engine.assess import oldest_first
from dlq.engine.run import decider
from dlq.messages.edits import diff
from dlq.messages.reading import Reading

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.engine.run import Request
    from dlq.engine.sift import Verdict

_DIFFS = 3


@dataclass(slots=True)
class Preview:
    """What would be selected. Counts are messages; `diffs` show a few edits."""

    queue: str
    depth: int
    selected: int = 0
    refused: int = 0
    types: Counter[str] = field(default_factory=Counter)
    signatures: Counter[tuple[str, str]] = field(default_factory=Counter)
    diffs: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Render for JSON."""
        return {
            "dry_run": True,
            "queue": self.queue,
            "depth": self.depth,
            "selected": self.selected,
            "refused": self.refused,
            "types": dict(self.types.most_common()),
            "signatures": [
                {"key": key, "signature": text, "count": count} for (key, text), count in self.signatures.most_common()
            ],
            "diffs": self.diffs,
        }


def preview(queue: DeadLetterQueue, config: QueueConfig, request: Request) -> Preview:
    """Read the DLQ once and count what the request would select."""
    reading = Reading.of(config)
    decide = decider(request, reading)
    depth, most = queue.depth(Place.DLQ), request.most
    seen = Preview(config.name, depth)
    codes: Counter[int] = Counter()
    for chunk in oldest_first(queue, Place.DLQ, depth):
        left = depth if most is None else most - seen.selected
        if left <= 0:
            break
        size, verdict = decide(chunk).cut(len(chunk), left)
        seen.selected += len(verdict.entries)
        seen.refused += verdict.refused
        actions = verdict.actions * size if len(verdict.actions) == 1 else verdict.actions
        codes.update(code for code, action in zip(verdict.codes, actions, strict=True) if action != KEEP[0])
        _show(seen, chunk, actions, verdict)
    for code, count in codes.items():
        signature = reading.book.signature(code)
        seen.types[signature.type] += count
        seen.signatures[(signature.key, str(signature))] += count
    return seen


def _show(seen: Preview, chunk: list[bytes], actions: bytes, verdict: Verdict) -> None:
    edited = iter(verdict.edited)
    for raw, action in zip(chunk, actions, strict=False):
        if len(seen.diffs) >= _DIFFS:
            return
        if action == EDIT[0]:
            seen.diffs.append(diff(raw, next(edited)))
