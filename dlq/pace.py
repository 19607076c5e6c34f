"""How fast a drain goes: the runbook's fixed pace, or none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from dlq.errors import BadArgumentError


class Mode(StrEnum):
    """The ways to pace a drain."""

    FIXED = "fixed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Pace:
    """Waves of `batch` messages with `pause` seconds between, `max_batches` of them (0: until the pass ends).

    The defaults are the runbook's: 100 messages, 30 seconds, ten times.
    """

    mode: Mode = Mode.FIXED
    batch: int = 100
    pause: float = 30.0
    max_batches: int = 10

    def __post_init__(self) -> None:
        """Refuse a pace that cannot be kept."""
        if self.batch < 1 or self.pause < 0 or self.max_batches < 0:
            raise BadArgumentError(
                "a batch has at least 1 message; the pause and the number of batches are not negative."
            )

    @classmethod
    def unpaced(cls, max_batches: int = 0) -> Pace:
        """Go as fast as the broker does: large waves, no pause."""
        return cls(Mode.NONE, 50_000, 0.0, max_batches)

    def more(self, waves_done: int) -> bool:
        """Say whether another wave is allowed."""
        return self.max_batches == 0 or waves_done < self.max_batches

    def as_parameters(self) -> dict[str, Any]:
        """Render as the ledger keeps it."""
        return asdict(self)

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Pace:
        """Read it back from the ledger."""
        return cls(**{**parameters, "mode": Mode(parameters["mode"])}) if parameters else cls()
