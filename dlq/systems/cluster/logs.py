"""The log lines of workers that tell of failures: the newest few, bounded in lines and bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dlq.systems.cluster.state import label_selector, list_pods
from dlq.systems.loglines import LogLine, matching

if TYPE_CHECKING:
    from dlq.systems.cluster.connection import Cluster

_PODS = 10
_TAIL = 2_000  # lines of a pod
_BYTES = 256 * 1024  # of a pod


def worker_lines(cluster: Cluster, name: str, pattern: re.Pattern[str], most: int = 50) -> list[LogLine]:
    """Give the newest lines of deployment `name` that match, over all its pods; restarted pods first."""
    deployment = cluster.call(
        "get", "deployments", name, cluster.apps.read_namespaced_deployment, name, cluster.namespace
    )
    pods = sorted(list_pods(cluster, label_selector(deployment)), key=_restarts, reverse=True)[:_PODS]
    found: list[LogLine] = []
    for pod in pods:
        for container in pod.spec.containers:
            source = f"{pod.metadata.name}/{container.name}"
            found += matching(_read(cluster, pod.metadata.name, container.name), source, pattern, most)
    return found[: most * 2]


def _read(cluster: Cluster, pod: str, container: str) -> str:
    text: str = cluster.call(
        "get",
        "pods/log",
        pod,
        cluster.core.read_namespaced_pod_log,
        pod,
        cluster.namespace,
        container=container,
        tail_lines=_TAIL,
        limit_bytes=_BYTES,
    )
    return text or ""


def _restarts(pod: Any) -> int:
    return sum(status.restart_count for status in pod.status.container_statuses or [])
