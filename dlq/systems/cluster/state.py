"""The state of a worker deployment: replicas, restarts, memory kills, what it waits for, use of resources, events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dlq.errors import ClusterError
from dlq.systems.cluster.events import ClusterEvent, recent_events
from dlq.systems.cluster.scaling import Autoscaler, find_autoscaler
from dlq.systems.cluster.usage import Usage, read_usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dlq.systems.cluster.connection import Cluster

T = TypeVar("T")

MOST_PODS = 500
_OOM = "OOMKilled"


@dataclass(frozen=True, slots=True)
class MemoryKill:
    """A container whose last end was a kill for memory; `restarts` counts all its ends."""

    pod: str
    container: str
    at: datetime | None
    restarts: int


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker deployment at one moment. `waiting` counts pods by the reason for which they do not run.

    None is unknown; `notes` say what could not be read and why.
    """

    deployment: str
    namespace: str
    desired: int
    ready: int
    restarts: int | None
    memory_kills: tuple[MemoryKill, ...]
    waiting: dict[str, int]
    images: tuple[str, ...]
    events: tuple[ClusterEvent, ...]
    usage: Usage | None
    autoscaler: Autoscaler | None
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """Say it in one line."""
        said = [f"{self.deployment}: {self.ready} of {self.desired} ready"]
        if self.restarts:
            said.append(f"{self.restarts} restarts")
        if self.memory_kills:
            said.append(f"{len(self.memory_kills)} killed for memory")
        said += [f"{count} waiting: {reason}" for reason, count in self.waiting.items()]
        return ", ".join(said)


def read_workers(cluster: Cluster, name: str) -> WorkerState:
    """Read the state of deployment `name`; ClusterError when it cannot be read itself, notes for its parts."""
    deployment = cluster.call(
        "get", "deployments", name, cluster.apps.read_namespaced_deployment, name, cluster.namespace
    )
    selector = label_selector(deployment)
    notes: list[str] = []
    pods = _part(notes, "pods", lambda: list_pods(cluster, selector))
    events = _part(notes, "events", lambda: recent_events(cluster, name))
    usage = _part(notes, "use of resources", lambda: read_usage(cluster, selector, pods or []))
    autoscaler = _part(notes, "autoscaler", lambda: find_autoscaler(cluster, name))
    statuses = [status for pod in pods or [] for status in pod.status.container_statuses or []]
    return WorkerState(
        name,
        cluster.namespace,
        deployment.spec.replicas if deployment.spec.replicas is not None else 1,
        deployment.status.ready_replicas or 0,
        None if pods is None else sum(status.restart_count for status in statuses),
        tuple(_memory_kills(pods or [])),
        dict(Counter(filter(None, map(why_waiting, pods or []))).most_common()),
        tuple(container.image for container in deployment.spec.template.spec.containers),
        tuple(events or ()),
        usage,
        autoscaler,
        tuple(notes),
    )


def label_selector(deployment: Any) -> str:
    """Write the selector of a deployment's pods."""
    selector = deployment.spec.selector
    said = [f"{key}={value}" for key, value in (selector.match_labels or {}).items()]
    for term in selector.match_expressions or []:
        values = f" ({','.join(term.values)})" if term.values else ""
        words = {"In": f"{term.key} in{values}", "NotIn": f"{term.key} notin{values}", "Exists": term.key}
        said.append(words.get(term.operator, f"!{term.key}"))
    return ",".join(said)


def list_pods(cluster: Cluster, selector: str) -> list[Any]:
    """List the pods of a selector, as the client's own models; at most MOST_PODS."""
    call = cluster.core.list_namespaced_pod
    found = cluster.call("list", "pods", "", call, cluster.namespace, label_selector=selector, limit=MOST_PODS)
    return list(found.items)


def why_waiting(pod: Any) -> str | None:
    """Say why a pod does not run: it cannot be placed, or a container waits; None when it runs."""
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"{condition.reason or 'Unschedulable'}: {condition.message or ''}".rstrip(": ")[:200]
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        waiting = status.state.waiting if status.state else None
        if waiting is not None and waiting.reason:
            return str(waiting.reason)
    return "Pending" if pod.status.phase == "Pending" else None


def _memory_kills(pods: list[Any]) -> list[MemoryKill]:
    found = []
    for pod in pods:
        for status in pod.status.container_statuses or []:
            ends = [state.terminated for state in (status.state, status.last_state) if state and state.terminated]
            kills = [end for end in ends if end.reason == _OOM]
            if kills:
                found.append(MemoryKill(pod.metadata.name, status.name, kills[0].finished_at, status.restart_count))
    return found


def _part(notes: list[str], what: str, read: Callable[[], T]) -> T | None:
    """Read a part; a refusal becomes a note."""
    try:
        return read()
    except ClusterError as exc:
        notes.append(f"{what} unknown: {exc.detail}")
        return None
