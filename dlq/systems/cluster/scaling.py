"""Scaling of a worker deployment through its scale subresource, or through the autoscaler that owns its count."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlq.errors import ClusterConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.systems.cluster.connection import Cluster

_TRIES = 8  # a deployment that is rolling out changes several times a second
_LOOK = 1.0  # seconds between two looks at the ready pods


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """A HorizontalPodAutoscaler: its name and bounds."""

    name: str
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Ready:
    """How many workers were ready in the end, of how many wanted."""

    ready: int
    wanted: int
    seconds: float

    @property
    def reached(self) -> bool:
        """Whether all are ready."""
        return self.ready >= self.wanted


def find_autoscaler(cluster: Cluster, deployment: str) -> Autoscaler | None:
    """Find the autoscaler of a deployment, or None."""
    call = cluster.autoscaling.list_namespaced_horizontal_pod_autoscaler
    found = cluster.call("list", "horizontalpodautoscalers", "", call, cluster.namespace)
    for item in found.items:
        target = item.spec.scale_target_ref
        if target.kind == "Deployment" and target.name == deployment:
            return _autoscaler(item)
    return None


def replicas(cluster: Cluster, deployment: str) -> int:
    """Read the wanted count of a deployment."""
    return int(_scale(cluster, deployment).spec.replicas or 0)  # the API leaves a zero out


def set_replicas(cluster: Cluster, deployment: str, count: int, when: Callable[[int], bool]) -> int:
    """Set the wanted count if `when` holds for the present one; return the count from before.

    Somebody else's change in between is noticed, and decided on again.
    """
    call = cluster.apps.patch_namespaced_deployment_scale

    def attempt() -> int:
        scale = _scale(cluster, deployment)
        before = int(scale.spec.replicas or 0)
        if when(before):
            version = {"resourceVersion": scale.metadata.resource_version}
            body = {"metadata": version, "spec": {"replicas": count}}
            cluster.call("patch", "deployments/scale", deployment, call, deployment, cluster.namespace, body)
        return before

    return _unless_disturbed(attempt)


def set_minimum(cluster: Cluster, autoscaler: str, count: int, when: Callable[[int], bool]) -> int:
    """Set minReplicas of an autoscaler if `when` holds for the present one; return the one from before."""
    read = cluster.autoscaling.read_namespaced_horizontal_pod_autoscaler
    patch = cluster.autoscaling.patch_namespaced_horizontal_pod_autoscaler

    def attempt() -> int:
        item = cluster.call("get", "horizontalpodautoscalers", autoscaler, read, autoscaler, cluster.namespace)
        before = _autoscaler(item).minimum
        if when(before):
            version = {"resourceVersion": item.metadata.resource_version}
            body = {"metadata": version, "spec": {"minReplicas": count}}
            cluster.call("patch", "horizontalpodautoscalers", autoscaler, patch, autoscaler, cluster.namespace, body)
        return before

    return _unless_disturbed(attempt)


def wait_ready(cluster: Cluster, deployment: str, count: int, limit: float) -> Ready:
    """Wait until `count` workers are ready (none left, for 0), for `limit` seconds at most."""
    began = time.monotonic()
    while True:
        found = cluster.call(
            "get", "deployments", deployment, cluster.apps.read_namespaced_deployment, deployment, cluster.namespace
        )
        ready = int(found.status.ready_replicas or 0)
        waited = time.monotonic() - began
        if (ready >= count if count else int(found.status.replicas or 0) == 0) or waited >= limit:
            return Ready(ready, count, waited)
        time.sleep(min(_LOOK, max(0.05, limit - waited)))


def _scale(cluster: Cluster, deployment: str) -> Any:
    read = cluster.apps.read_namespaced_deployment_scale
    return cluster.call("get", "deployments/scale", deployment, read, deployment, cluster.namespace)


def _autoscaler(item: Any) -> Autoscaler:
    minimum = item.spec.min_replicas
    return Autoscaler(item.metadata.name, 1 if minimum is None else int(minimum), int(item.spec.max_replicas))


def _unless_disturbed(attempt: Callable[[], int]) -> int:
    """Try again after somebody else's change; the last conflict is the caller's."""
    for number in range(_TRIES - 1):
        with suppress(ClusterConflictError):
            return attempt()
        time.sleep(0.05 * 2**number)
    return attempt()
