"""What the receiver counts of its own work, for `GET /metrics`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of one receiver, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    alerts: Counter = field(init=False)
    runs: Counter = field(init=False)
    capped: Counter = field(init=False)
    truncated: Counter = field(init=False)
    posts: Counter = field(init=False)
    seconds: Histogram = field(init=False)

    def __post_init__(self) -> None:
        """Make the counters."""
        made = {
            "alerts": Counter(
                "dlq_receiver_alerts", "Alerts, by what became of them.", ["outcome"], registry=self.registry
            ),
            "runs": Counter("dlq_receiver_runs", "Runs created for alerts.", ["queue"], registry=self.registry),
            "capped": Counter(
                "dlq_receiver_capped", "Alerts held back by the hourly cap.", ["queue"], registry=self.registry
            ),
            "truncated": Counter(
                "dlq_receiver_truncated_alerts", "Alerts that Alertmanager left out.", registry=self.registry
            ),
            "posts": Counter("dlq_receiver_posts", "Posts to /alerts, by status.", ["code"], registry=self.registry),
            "seconds": Histogram(
                "dlq_receiver_post_seconds", "How long a post took.", buckets=_BUCKETS, registry=self.registry
            ),
        }
        for name, metric in made.items():
            object.__setattr__(self, name, metric)

    @classmethod
    def of(cls, queues: Iterable[str]) -> Self:
        """Make the counters of these queues at 0: `increase()` does not see a counter that begins at 1."""
        counters = cls()
        for queue in queues:
            counters.runs.labels(queue)
            counters.capped.labels(queue)
        return counters
