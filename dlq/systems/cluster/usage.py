"""What the workers use of CPU and memory, where a metrics server answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlq.errors import ClusterError, ClusterNotFoundError, ClusterSilentError

if TYPE_CHECKING:
    from dlq.systems.cluster.connection import Cluster

_GROUP = ("metrics.k8s.io", "v1beta1")


@dataclass(frozen=True, slots=True)
class Usage:
    """The sums over all pods. CPU in cores, memory in bytes; a limit is None when a container has none."""

    pods: int
    cpu: float
    memory: float
    memory_limit: float | None


def read_usage(cluster: Cluster, selector: str, pods: list[Any]) -> Usage:
    """Ask the metrics server; ClusterError says when there is none."""
    try:
        found = cluster.call(
            "list",
            "pods.metrics.k8s.io",
            "",
            cluster.custom.list_namespaced_custom_object,
            *_GROUP,
            cluster.namespace,
            "pods",
            label_selector=selector,
        )
    except (ClusterNotFoundError, ClusterSilentError) as exc:
        raise ClusterError("no metrics server answers") from exc
    try:
        used = [container["usage"] for item in found["items"] for container in item["containers"]]
        cpu = sum(_number(usage["cpu"]) for usage in used)
        memory = sum(_number(usage["memory"]) for usage in used)
        limits = [_memory_limit(container) for pod in pods for container in pod.spec.containers]
        sums = [_number(limit) for limit in limits if limit is not None]
    except (KeyError, TypeError, ValueError) as exc:
        raise ClusterError("the metrics server's answer cannot be read") from exc
    if not found["items"]:
        raise ClusterError("the metrics server knows no pod of it yet")
    return Usage(len(found["items"]), cpu, memory, sum(sums) if sums and len(sums) == len(limits) else None)


def _number(quantity: str) -> float:
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 - a second to import

    return float(parse_quantity(quantity))


def _memory_limit(container: Any) -> str | None:
    limits = container.resources.limits if container.resources else None
    return (limits or {}).get("memory")
