"""The two clusters that the suite runs on, with one face: what a test may do to them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from kubernetes import client

from dlq.config.settings import Settings
from tests.kubernetes import objects
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.real import RealCluster, kubeconfig_text
from tests.web_fake import WebFake


class World(Protocol):
    """A cluster with the namespace `tokpulse`, which a test may fill and break."""

    def settings(self, user: str = "admin", **more: Any) -> Settings:
        """Give settings that lead to it, as a user."""

    def deploy(self, name: str, replicas: int, image: str = "workers:1") -> None:
        """Run a worker deployment and wait until it is ready; an image `never…` is not waited for."""

    def roll_out(self, name: str, image: str) -> None:
        """Give a deployment another image and wait until it is ready."""

    def scale(self, name: str, replicas: int) -> None:
        """Do what another person does with kubectl."""

    def autoscale(self, name: str, minimum: int | None, maximum: int) -> None:
        """Add an autoscaler to a deployment."""

    def minimum(self, name: str) -> int | None:
        """Read the minimum of the deployment's autoscaler."""

    def allow(self, *roles: str) -> None:
        """Bind these of the shipped Roles, and no others, to the account."""

    def kill_for_memory(self, name: str, restarts: int) -> None:
        """Let the first pod of a deployment look as if it had been killed for memory."""

    def event(self, name: str, reason: str, text: str) -> None:
        """Add a warning about a deployment."""

    def silent(self) -> Any:
        """Stop the API server from answering, within the block."""


class FakeWorld:
    """The fake."""

    def __init__(self, api: FakeApi, web: WebFake, folder: Path) -> None:
        self.api = api
        self.web = web
        self._folder = folder

    def settings(self, user: str = "admin", **more: Any) -> Settings:
        file = self._folder / f"kubeconfig-{user.rpartition(':')[2]}"
        file.write_text(kubeconfig_text(self.web.url, user, objects.NAMESPACE))
        return Settings(**{"kubeconfig": file, "cluster_timeout": 5, "scale_wait": 60, **more})

    def deploy(self, name: str, replicas: int, image: str = "workers:1") -> None:
        self.api.add("deployments", objects.deployment(name, replicas, image))
        if image.startswith("never"):
            self._never(name)

    def _never(self, name: str) -> None:
        self.api.objects["deployments"][name]["status"]["readyReplicas"] = 0
        for pod in self.api.objects["pods"].values():
            pod["status"] = {"phase": "Pending"}

    def roll_out(self, name: str, image: str) -> None:
        self.api.objects["deployments"][name]["spec"]["template"]["spec"]["containers"][0]["image"] = image
        self.api.settle(name)

    def scale(self, name: str, replicas: int) -> None:
        self.api.objects["deployments"][name]["spec"]["replicas"] = replicas
        self.api.objects["deployments"][name]["metadata"]["resourceVersion"] = self.api.next_version()
        self.api.settle(name)

    def autoscale(self, name: str, minimum: int | None, maximum: int) -> None:
        self.api.add("horizontalpodautoscalers", objects.autoscaler(name, minimum, maximum))

    def minimum(self, name: str) -> int | None:
        found: int | None = self.api.objects["horizontalpodautoscalers"][f"{name}-hpa"]["spec"].get("minReplicas")
        return found

    def allow(self, *roles: str) -> None:
        self.api.rules = [rule for role in roles for rule in objects.roles()[role]["rules"]]

    def kill_for_memory(self, name: str, restarts: int) -> None:
        pod = next(pod for key, pod in self.api.objects["pods"].items() if key.startswith(f"{name}-"))
        pod["status"]["containerStatuses"][0] |= killed(restarts)

    def event(self, name: str, reason: str, text: str) -> None:
        self.api.add("events", warning(name, reason, text))

    @contextmanager
    def silent(self) -> Iterator[None]:
        self.api.silent = True
        try:
            yield
        finally:
            self.api.silent = False


class RealWorld:
    """The real one."""

    def __init__(self, cluster: RealCluster) -> None:
        self.cluster = cluster
        api = cluster.api_client()
        self.apps, self.core, self.rbac = (
            client.AppsV1Api(api),
            client.CoreV1Api(api),
            client.RbacAuthorizationV1Api(api),
        )
        self.hpas = client.AutoscalingV1Api(api)

    def settings(self, user: str = "admin", **more: Any) -> Settings:
        return Settings(
            **{
                "kubeconfig": self.cluster.kubeconfig(user, objects.NAMESPACE),
                "cluster_timeout": 20,
                "scale_wait": 60,
                **more,
            }
        )

    def deploy(self, name: str, replicas: int, image: str = "workers:1") -> None:
        self.apps.create_namespaced_deployment(objects.NAMESPACE, objects.deployment(name, replicas, image))
        if not image.startswith("never"):
            self._wait(name)
        else:
            eventually(lambda: len(self.core.list_namespaced_pod(objects.NAMESPACE).items) >= replicas)

    def roll_out(self, name: str, image: str) -> None:
        containers = [{"name": "worker", "image": image}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        self.apps.patch_namespaced_deployment(name, objects.NAMESPACE, body)
        self._wait(name)

    def scale(self, name: str, replicas: int) -> None:
        self.apps.patch_namespaced_deployment_scale(name, objects.NAMESPACE, {"spec": {"replicas": replicas}})

    def autoscale(self, name: str, minimum: int | None, maximum: int) -> None:
        self.hpas.create_namespaced_horizontal_pod_autoscaler(
            objects.NAMESPACE, objects.autoscaler(name, minimum, maximum)
        )

    def minimum(self, name: str) -> int | None:
        found: int | None = self.hpas.read_namespaced_horizontal_pod_autoscaler(
            f"{name}-hpa", objects.NAMESPACE
        ).spec.min_replicas
        return found

    def allow(self, *roles: str) -> None:
        for item in objects.manifests()["roles.yaml"]:
            if item["kind"] == "Role":
                self.rbac.create_namespaced_role(objects.NAMESPACE, item)
            elif item["kind"] == "RoleBinding" and item["roleRef"]["name"] in roles:
                self.rbac.create_namespaced_role_binding(objects.NAMESPACE, item)

    def kill_for_memory(self, name: str, restarts: int) -> None:
        pod = self.core.list_namespaced_pod(objects.NAMESPACE, label_selector=f"app={name}").items[0]
        ready = {"name": "worker", "ready": True, "image": "", "imageID": "", "state": {"running": {}}}
        body = {"status": {"containerStatuses": [ready | killed(restarts)]}}
        self.core.patch_namespaced_pod_status(pod.metadata.name, objects.NAMESPACE, body)

    def event(self, name: str, reason: str, text: str) -> None:
        self.core.create_namespaced_event(objects.NAMESPACE, warning(name, reason, text))

    @contextmanager
    def silent(self) -> Iterator[None]:
        os.kill(self.cluster.api_server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.cluster.api_server.pid, signal.SIGCONT)

    def clean(self) -> None:
        """Take everything out of the namespace again."""
        self.hpas.delete_collection_namespaced_horizontal_pod_autoscaler(objects.NAMESPACE)
        for item in self.apps.list_namespaced_deployment(objects.NAMESPACE).items:
            body = {"propagationPolicy": "Background"}
            self.apps.delete_namespaced_deployment(item.metadata.name, objects.NAMESPACE, body=body)
        self.apps.delete_collection_namespaced_replica_set(objects.NAMESPACE)
        self.core.delete_collection_namespaced_event(objects.NAMESPACE)
        self.rbac.delete_collection_namespaced_role_binding(objects.NAMESPACE)
        self.rbac.delete_collection_namespaced_role(objects.NAMESPACE)
        eventually(self._has_no_pods)

    def _has_no_pods(self) -> bool:
        """Delete what is there; a controller that does not know yet of the deletion may make one more."""
        self.core.delete_collection_namespaced_pod(objects.NAMESPACE, grace_period_seconds=0)
        return not self.core.list_namespaced_pod(objects.NAMESPACE).items

    def _wait(self, name: str) -> None:
        def is_ready() -> bool:
            found = self.apps.read_namespaced_deployment(name, objects.NAMESPACE)
            count = found.spec.replicas
            done = found.status.observed_generation == found.metadata.generation
            return bool(done and (found.status.ready_replicas or 0) == (found.status.updated_replicas or 0) == count)

        eventually(is_ready)


def killed(restarts: int) -> dict[str, Any]:
    """Describe a container that was killed for memory a minute ago."""
    end = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": now()}
    return {"restartCount": restarts, "lastState": {"terminated": end}}


def warning(name: str, reason: str, text: str) -> dict[str, Any]:
    """Describe a warning about a deployment."""
    on = {"kind": "Deployment", "name": name, "namespace": objects.NAMESPACE}
    meta = {"name": f"{name}.{reason.lower()}", "namespace": objects.NAMESPACE}
    said = {"reason": reason, "message": text, "type": "Warning", "count": 3, "lastTimestamp": now()}
    return {"metadata": meta, "involvedObject": on, **said}


def now() -> str:
    """Write the time as Kubernetes does."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to hold within a minute")
