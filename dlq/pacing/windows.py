"""What the adaptive pace is told, what it says, and what it remembers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(StrEnum):
    """What to do next."""

    WAVE = "wave"
    WAIT = "wait"
    DONE = "done"
    TRIP = "trip"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen at a moment (epoch seconds). Counts by signature key are of this run's messages, since its start.

    `gone` are those that consumers took from the live queue, `bounced` those that came back to the DLQ. `stretches`
    has (first wave, by signature (gone, bounced)) of waves that came one after another, oldest first. `live` is the
    whole live queue's length, `more` whether there is anything left to send.
    """

    at: float
    live: int
    more: bool
    sent: Mapping[str, int]
    gone: Mapping[str, int]
    bounced: Mapping[str, int]
    stretches: tuple[tuple[int, Mapping[str, tuple[int, int]]], ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next: send a wave of `size` messages, but of no signature more than allowed; or wait; or end."""

    action: Action
    size: int = 0
    allowed: Mapping[str, int] = field(default_factory=dict)
    others: int = 0
    """What is allowed of each signature that `allowed` does not name."""
    least: int = 1
    """A wave that would be smaller than this, as its signatures are not allowed more, is not worth it: wait."""
    seconds: float = 0.0
    """How long to wait; for a wave: if it is not worth it."""
    why: str = ""


@dataclass(slots=True)
class Track:
    """What is known of one signature. `settled` are those taken so long ago that their outcome is known."""

    sent: int = 0
    gone: int = 0
    settled: int = 0
    bounced: int = 0
    window: float = 0.0
    proven: bool = False
    """Its rate is so surely under the limit that nothing but the consumers' pace bounds what is on its way."""
    doubt: bool = False
    stopped: str = ""
    """Why the signature was stopped; empty while it is going."""

    @property
    def in_flight(self) -> int:
        """Count what was sent and has no known outcome yet."""
        return self.sent - self.settled


@dataclass(slots=True)
class State:
    """All that the controller remembers; `as_dict` and `from_dict` go through JSON unchanged."""

    canary: int
    signatures: dict[str, Track] = field(default_factory=dict)
    trail: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    """The looks of the last grace time: (moment, newly gone by signature)."""
    doubt: bool = False
    window: float | None = None
    """How much may be on its way at once since consumers have lagged; None: they have not."""
    cut_at: float = 0.0
    moved_at: float = 0.0
    """When consumers last took something, or had nothing to take."""
    room_at: float = 0.0
    """When the live queue was under its ceiling last."""
    next_at: float = 0.0
    """Before this moment a capped rate allows no wave."""
    speed: float = 0.0
    """Messages of ours that consumers take a second, while they have some."""
    pull: int = 0
    """What consumers took of ours in the last full look."""
    taken: int = 0
    """What they took since."""
    took_at: float = 0.0
    seen_at: float = 0.0
    tripped: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Render for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> State:
        """Read it back."""
        tracks = {key: Track(**track) for key, track in said["signatures"].items()}
        return cls(**{**said, "signatures": tracks, "trail": [(at, gone) for at, gone in said["trail"]]})
