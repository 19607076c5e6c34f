"""Why the demo's messages failed: error texts with varying parts, and when each kind of failure happened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

HOURS: Final = 6.0
"""How far back the failures reach."""


class Shape(StrEnum):
    """How failures of one cause spread over the time."""

    STEADY = "steady"
    BURST = "burst"
    ONSET = "onset"
    LEAK = "leak"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of failure. `share` is its part of the queue, `refails` the part that fails again when redriven.

    `peak` counts hours before now: the middle of a burst, the begin of an onset.
    """

    types: tuple[str, ...]
    error_class: str
    text: Callable[[Random], str]
    shape: Shape
    share: float
    peak: float = 0.0
    refails: float = 0.0

    def age(self, rng: Random) -> float:
        """Draw how many hours ago a message failed."""
        match self.shape:
            case Shape.BURST:
                return min(HOURS, max(0.01, rng.gauss(self.peak, 0.12)))
            case Shape.ONSET:
                return rng.uniform(0.01, self.peak)
            case Shape.LEAK:  # ever more of them: the younger, the more likely
                return HOURS * (1 - math.sqrt(rng.random())) + 0.01
            case Shape.STEADY:
                return rng.uniform(0.01, HOURS)


def number_id(rng: Random, prefix: str = "") -> str:
    """Draw an id such as systems print it: 16 hexadecimal digits after a prefix."""
    return f"{prefix}{rng.getrandbits(64):016x}"


def uuid(rng: Random) -> str:
    """Draw a random UUID as text."""
    h = f"{rng.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def _n(rng: Random, low: int, high: int) -> int:
    return low + int(rng.random() * (high - low + 1))


_HOOKS: Final = ("webhook.delivery", "webhook.invoice", "webhook.refund")
WEBHOOKS: Final = (
    Cause(
        _HOOKS,
        "TimeoutError",
        lambda r: (
            f"gateway gw-{_n(r, 1, 40)}.pay.example:8443 did not answer within {_n(r, 29000, 31000)} ms ({uuid(r)})"
        ),
        Shape.BURST,
        0.46,
        peak=2.5,
    ),
    Cause(
        _HOOKS,
        "ConnectionRefusedError",
        lambda r: f"connection to 10.{_n(r, 0, 9)}.{_n(r, 0, 255)}.{_n(r, 1, 254)}:443 was refused",
        Shape.STEADY,
        0.16,
    ),
    Cause(
        ("webhook.delivery",),
        "HTTPError",
        lambda r: f"503 Service Unavailable from https://hooks.customer-{_n(r, 1, 900)}.example/v2/{number_id(r)}",
        Shape.ONSET,
        0.24,
        peak=0.8,
    ),
    Cause(
        ("webhook.signed",),
        "SignatureError",
        lambda r: f"endpoint '{number_id(r, 'ep_')}' refused the signature of key {_n(r, 3, 9)}",
        Shape.LEAK,
        0.09,
        refails=1.0,
    ),
    Cause(
        ("webhook.refund", "webhook.invoice"),
        "PayloadTooLargeError",
        lambda r: f"body of {_n(r, 1048577, 9999999)} bytes is over the limit of 1048576",
        Shape.STEADY,
        0.05,
    ),
)
JOBS: Final = (
    Cause(
        ("job.billing", "job.export"),
        "DeadlockDetectedError",
        lambda r: f"process {_n(r, 1000, 9999)} waits for ShareLock on transaction {_n(r, 100000, 999999)}",
        Shape.BURST,
        0.38,
        peak=1.2,
    ),
    Cause(
        ("job.billing",),
        "KeyError",
        lambda r: f"'tier_{_n(r, 1, 99)}' is missing in plan {_n(r, 10, 5000)}",
        Shape.ONSET,
        0.25,
        peak=0.5,
        refails=0.3,
    ),
    Cause(
        ("job.email",),
        "SMTPServerDisconnectedError",
        lambda r: f"smtp-{_n(r, 1, 6)}.mail.internal:587 closed the connection after {_n(r, 1, 90)} s",
        Shape.STEADY,
        0.25,
    ),
    Cause(
        ("job.thumbnail", "job.export"),
        "MemoryLimitError",
        lambda r: f'worker {_n(r, 1, 64)} used {r.uniform(512, 900):.1f} MiB on "export {_n(r, 1, 99999)}"',
        Shape.LEAK,
        0.12,
    ),
)
EXPERIMENTS: Final = (
    Cause(
        ("experiment.assign",),
        "UnknownVariantError",
        lambda r: f'variant "{r.choice(("blue", "green", "red"))} {_n(r, 1, 99)}" is not in {uuid(r)}',
        Shape.ONSET,
        0.4,
        peak=3.0,
    ),
    Cause(
        ("experiment.result", "experiment.metric"),
        "StaleSnapshotError",
        lambda r: f"snapshot {_n(r, 10000, 99999)} is {_n(r, 601, 4000)} s old",
        Shape.STEADY,
        0.35,
    ),
    Cause(
        ("experiment.metric",),
        "RateLimitError",
        lambda r: f"429 from https://metrics-{_n(r, 1, 9)}.example/ingest, again in {_n(r, 1, 60)} s",
        Shape.BURST,
        0.25,
        peak=4.2,
        refails=0.15,
    ),
)
CAUSES: Final[dict[str, tuple[Cause, ...]]] = {"webhooks": WEBHOOKS, "jobs": JOBS, "experiments": EXPERIMENTS}
SHARES: Final[dict[str, float]] = {"webhooks": 0.60, "jobs": 0.25, "experiments": 0.15}
