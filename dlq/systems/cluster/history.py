"""What was rolled out when, from the ReplicaSets of a deployment: the runbook's recent changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlq.systems.cluster.state import label_selector

if TYPE_CHECKING:
    from datetime import datetime

    from dlq.systems.cluster.connection import Cluster

_REVISION = "deployment.kubernetes.io/revision"
_CAUSE = "kubernetes.io/change-cause"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"


@dataclass(frozen=True, slots=True)
class Rollout:
    """A revision of a deployment. `at` is when it began; for a revision gone back to, when that was finished."""

    deployment: str
    revision: int
    at: datetime
    images: tuple[str, ...]
    cause: str
    current: bool
    returned: bool

    @property
    def summary(self) -> str:
        """Say it in a few words."""
        word = "went back to" if self.returned else "rolled out"
        cause = f" ({self.cause})" if self.cause else ""
        return f"{self.deployment} {word} revision {self.revision}: {', '.join(self.images)}{cause}"


def rollouts(cluster: Cluster, name: str) -> list[Rollout]:
    """List the revisions of deployment `name` that its ReplicaSets still tell of, newest first."""
    deployment = cluster.call(
        "get", "deployments", name, cluster.apps.read_namespaced_deployment, name, cluster.namespace
    )
    call = cluster.apps.list_namespaced_replica_set
    selector = label_selector(deployment)
    found = cluster.call("list", "replicasets", "", call, cluster.namespace, label_selector=selector)
    mine = [item for item in found.items if _owned(item, deployment.metadata.uid)]
    if not mine:
        return []
    current = max(mine, key=_revision)
    youngest = max(item.metadata.creation_timestamp for item in mine)
    finished = _progressed(deployment)
    made = []
    for item in sorted(mine, key=_revision, reverse=True):
        # Going back reuses the old ReplicaSet under a new number, so that its own age says nothing.
        returned = item is current and item.metadata.creation_timestamp < youngest
        at = finished if returned and finished else item.metadata.creation_timestamp
        made.append(_rollout(name, item, at, current=item is current, returned=returned))
    return made


def _rollout(name: str, item: Any, at: datetime, *, current: bool, returned: bool) -> Rollout:
    template = item.spec.template
    restarted = (template.metadata.annotations or {}).get(_RESTARTED)
    cause = (item.metadata.annotations or {}).get(_CAUSE) or (f"restarted {restarted}" if restarted else "")
    images = tuple(container.image for container in template.spec.containers)
    return Rollout(name, _revision(item), at, images, cause[:200], current, returned)


def _owned(item: Any, uid: str) -> bool:
    return any(owner.uid == uid for owner in item.metadata.owner_references or [])


def _revision(item: Any) -> int:
    text = (item.metadata.annotations or {}).get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def _progressed(deployment: Any) -> datetime | None:
    for condition in deployment.status.conditions or []:
        if condition.type == "Progressing":
            at: datetime | None = condition.last_update_time
            return at
    return None
