"""How fast a drain goes: the runbook's fixed pace, as fast as the broker does, or by what the consumers make of it.

The adaptive pace is decided by `dlq.pacing.controller`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dlq.errors import BadArgumentError

if TYPE_CHECKING:
    from dlq.config.queues import QueueConfig


class Mode(StrEnum):
    """The ways to pace a drain."""

    FIXED = "fixed"
    NONE = "none"
    ADAPTIVE = "adaptive"


class OnTrip(StrEnum):
    """What happens when the whole drain is stopped by its breaker."""

    STOP = "stop"
    WITHDRAW = "withdraw"
    """Stop, and take back from the live queue what nobody has consumed yet."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an adaptive drain keeps to. Rates of bounces are shares of what the consumers took; times are seconds."""

    bounce: float = 0.2
    """A signature whose bounce rate is over this is stopped, alone."""
    total: float = 0.4
    """The drain is stopped when the bounce rate of all signatures that were not stopped is over this."""
    alpha: float = 0.01
    """The chance to stop a signature whose bounce rate is just at its limit, over the whole drain."""
    canary_share: float = 0.01
    canary_least: int = 10
    canary_most: int = 100
    ceiling: int = 10_000
    """No wave makes the live queue longer than this."""
    rate: float | None = None
    """Messages a second at most; None: no cap."""
    grace: float = 10.0
    """How long after it was taken a message may still bounce."""
    lag: float = 30.0
    """Consumers lag when they need longer than this for what they have of ours."""
    stall: float = 300.0
    """The drain is stopped when consumers take nothing for this long."""
    on_trip: OnTrip = OnTrip.STOP

    def __post_init__(self) -> None:
        """Refuse limits that cannot be kept."""
        if not (0 < self.bounce < 1 and 0 < self.total < 1):
            raise BadArgumentError("a limit of bounces is a share between 0 and 1, both excluded.")
        if self.rate is not None and self.rate <= 0:
            raise BadArgumentError("a rate is a positive number of messages a second.")
        if self.ceiling < 1 or self.grace <= 0 or self.lag <= 0 or self.stall <= 0:
            raise BadArgumentError("ceiling, grace, lag and stall are positive.")

    def canary(self, selection: int) -> int:
        """Give the size of the first wave of a selection: a hundredth of it, at least 10, at most 100."""
        return max(self.canary_least, min(self.canary_most, round(selection * self.canary_share)))

    @property
    def look(self) -> float:
        """Give the seconds between two looks at the outcome."""
        return min(2.0, max(0.1, self.grace / 8))

    @classmethod
    def of(cls, config: QueueConfig, **said: Any) -> Limits:
        """Take the limits of a queue's settings, with what was said for one run (None: nothing) over them."""
        loop = config.loop
        told = {name: value for name, value in said.items() if value is not None}
        usual = {
            "bounce": loop.bounce_limit,
            "total": loop.total_limit,
            "ceiling": loop.live_ceiling,
            "rate": loop.rate,
            "grace": loop.grace_seconds,
            "lag": loop.lag_seconds,
            "stall": loop.stall_seconds,
            "on_trip": OnTrip(loop.on_trip),
        }
        return cls(**(usual | told))


@dataclass(frozen=True, slots=True)
class Pace:
    """Waves of `batch` messages with `pause` seconds between, `max_batches` of them (0: until the pass ends).

    The defaults are the runbook's: 100 messages, 30 seconds, ten times. An adaptive pace has limits instead of batch
    and pause.
    """

    mode: Mode = Mode.FIXED
    batch: int = 100
    pause: float = 30.0
    max_batches: int = 10
    limits: Limits | None = None

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

    @classmethod
    def adaptive(cls, limits: Limits | None = None, max_batches: int = 0) -> Pace:
        """Go by the outcome; without limits those of the queue hold (see `bound`)."""
        return cls(Mode.ADAPTIVE, pause=0.0, max_batches=max_batches, limits=limits)

    def bound(self, config: QueueConfig, **said: Any) -> Pace:
        """Give an adaptive pace the limits of its queue; any other pace is what it was."""
        if self.mode is not Mode.ADAPTIVE or self.limits is not None:
            return self
        return replace(self, limits=Limits.of(config, **said))

    def more(self, waves_done: int) -> bool:
        """Say whether another wave is allowed."""
        return self.max_batches == 0 or waves_done < self.max_batches

    def describe(self) -> str:
        """Say in one line how fast that is."""
        most = f", {self.max_batches:,} at most" if self.max_batches else ""
        if self.mode is Mode.ADAPTIVE:
            return f"by the outcome of each wave{most}"
        return f"waves of {self.batch:,}, " + (f"{self.pause:g} s between" if self.pause else "without pauses") + most

    def as_parameters(self) -> dict[str, Any]:
        """Render as the ledger keeps it."""
        parameters = asdict(self)
        if self.limits is None:
            del parameters["limits"]
        return parameters

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> Pace:
        """Read it back from the ledger."""
        if not parameters:
            return cls()
        limits = parameters.get("limits")
        if limits:
            limits = Limits(**{**limits, "on_trip": OnTrip(limits["on_trip"])})
        return cls(**{**parameters, "mode": Mode(parameters["mode"]), "limits": limits or None})
