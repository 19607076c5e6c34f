"""What the tests put into a cluster, as the API takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parents[2] / "deployments" / "kubernetes"
NAMESPACE = "tokpulse"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:dlq-drain"


def deployment(name: str, replicas: int, image: str = "workers:1") -> dict[str, Any]:
    """Describe a worker deployment."""
    labels = {"app": name}
    container = {"name": "worker", "image": image, "resources": {"limits": {"memory": "256Mi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def autoscaler(name: str, minimum: int | None, maximum: int) -> dict[str, Any]:
    """Describe an autoscaler of the deployment of the same name."""
    bounds = {"maxReplicas": maximum} | ({"minReplicas": minimum} if minimum is not None else {})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"{name}-hpa"},
        "spec": {"scaleTargetRef": target, **bounds},
    }


def manifests() -> dict[str, list[dict[str, Any]]]:
    """Read every manifest that is shipped, by the name of its file."""
    return {
        file.name: [item for item in yaml.safe_load_all(file.read_text(encoding="utf-8")) if item]
        for file in sorted(MANIFESTS.glob("*.yaml"))
    }


def roles() -> dict[str, dict[str, Any]]:
    """Give the shipped Roles by name."""
    return {item["metadata"]["name"]: item for item in manifests()["roles.yaml"] if item["kind"] == "Role"}
