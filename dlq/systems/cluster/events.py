"""The recent events of a worker deployment and of its ReplicaSets and pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from dlq.systems.cluster.connection import Cluster

_READ = 500
_KEPT = 20
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """Something that Kubernetes says has happened, `count` times until `at`."""

    at: datetime | None
    reason: str
    text: str
    on: str
    count: int
    warning: bool


def recent_events(cluster: Cluster, deployment: str) -> list[ClusterEvent]:
    """List the newest events, warnings before the rest, newest first."""
    call = cluster.core.list_namespaced_event
    found = cluster.call("list", "events", "", call, cluster.namespace, limit=_READ)
    mine = [_event(item) for item in found.items if _is_of(item, deployment)]
    mine.sort(key=lambda event: (event.warning, event.at.timestamp() if event.at else 0.0), reverse=True)
    return mine[:_KEPT]


def _is_of(item: Any, deployment: str) -> bool:
    name = item.involved_object.name or ""
    return name == deployment or name.startswith(f"{deployment}-")


def _event(item: Any) -> ClusterEvent:
    return ClusterEvent(
        item.last_timestamp or item.event_time or item.first_timestamp,
        item.reason or "",
        (item.message or "")[:_LONGEST],
        f"{item.involved_object.kind} {item.involved_object.name}",
        item.count or 1,
        item.type == "Warning",
    )
