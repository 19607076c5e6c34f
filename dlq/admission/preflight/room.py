"""Whether the broker has enough memory for the ledger, and for what is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dlq.admission.preflight.findings import Check, Result
from dlq.brokers.base import Place
from dlq.config.policy_table import CheckName

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.brokers.server import Memory

_LEDGER: Final = 24  # bytes a message, by decision 4
_SAMPLES: Final = 32
_OVERHEAD: Final = 100  # bytes that a kept original costs beside itself, as a field of a hash
_CHUNK: Final = 1_048_576  # bytes: a batch is pushed before it is trimmed


def need(queue: DeadLetterQueue, selected: int, *, keeps_originals: bool) -> int:
    """Estimate the bytes that a run needs: its ledger, one batch, and with edits or drops the originals."""
    bytes_ = selected * _LEDGER + _CHUNK
    if keeps_originals and selected:
        depth = queue.depth(Place.DLQ)
        step = max(1, depth // _SAMPLES)
        sizes = [size for size in queue.lengths(Place.DLQ, list(range(0, depth, step))).result() if size]
        bytes_ += selected * (_OVERHEAD + 2 * sum(sizes) // max(1, len(sizes)))
    return bytes_


def check_memory(memory: Memory | None, needed: int) -> Check:
    """Compare what is free with what is needed."""
    if memory is None:
        return Check(CheckName.MEMORY, Result.UNKNOWN, "the broker does not say how much memory it has")
    if memory.free is None:
        return Check(CheckName.MEMORY, Result.PASS, f"{_mb(memory.used)} used, and there is no limit")
    seen = f"{_mb(needed)} needed, {_mb(memory.free)} free of {_mb(memory.limit or 0)}"
    return Check(CheckName.MEMORY, Result.PASS if memory.free > needed else Result.FAIL, seen)


def _mb(count: int) -> str:
    return f"{count / 1_048_576:,.0f} MB"
