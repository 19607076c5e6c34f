"""A small stand-in for the API server, for speed: the few endpoints that are used, with the real one's answers."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.kubernetes.objects import ACCOUNT
from tests.web_fake import HANG, Answer, Asked

_PATH = re.compile(
    r"/apis?/(?:(?P<group>[a-z0-9.]+)/)?v1(?:beta1)?/namespaces/(?P<namespace>[^/]+)/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<part>[a-z]+))?)?"
)
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update"}


def refusal(code: int, reason: str) -> Answer:
    """Answer as the API server does when it will not."""
    return Answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason})


@dataclass
class FakeApi:
    """Objects by resource and name, in one namespace. `rules` are those of the account; the admin may do all."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    silent_after_write: bool = False
    usage: dict[str, Any] | None = None
    watch: Callable[[], object] = lambda: None
    version: int = 100

    def answer(self, asked: Asked) -> Answer:
        """Answer a request."""
        if self.silent:
            return HANG
        match = _PATH.fullmatch(asked.path)
        if match is None:
            return refusal(404, "NotFound")
        group, resource, name, part = (match[key] or "" for key in ("group", "resource", "name", "part"))
        verb = "list" if asked.method == "GET" and not name else _VERBS[asked.method]
        whole = f"{resource}/{part}" if part else resource
        if asked.headers.get("Authorization") == f"Bearer {ACCOUNT}" and not self._allowed(verb, group, whole, name):
            return refusal(403, "Forbidden")
        if group == "metrics.k8s.io":
            return refusal(404, "NotFound") if self.usage is None else Answer(200, self.usage)
        if verb == "list":
            return Answer(200, {"kind": "List", "metadata": {}, "items": self._listed(resource, asked)})
        if verb == "create":
            return Answer(201, self.add(resource, asked.json))
        return self._one(verb, resource, name, part, asked)

    def add(self, resource: str, item: dict[str, Any]) -> dict[str, Any]:
        """Put an object in, with what the server and the controllers add."""
        item = copy.deepcopy(item)
        meta = item["metadata"]
        meta |= {"uid": str(uuid4()), "creationTimestamp": _now(), "resourceVersion": self.next_version()}
        self.objects.setdefault(resource, {})[meta["name"]] = item
        if resource == "deployments":
            self.settle(meta["name"])
        return item

    def settle(self, name: str) -> None:
        """Do what the controllers do: a ReplicaSet for each image, ready pods, and the status."""
        found = self.objects["deployments"][name]
        spec = found["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        sets = self.objects.setdefault("replicasets", {})
        mine = f"{name}-{abs(hash(image)) % 10**8}"
        if mine not in sets:
            revision = 1 + sum(other.startswith(f"{name}-") for other in sets)
            meta = {
                "name": mine,
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": found["metadata"]["uid"]}
                ],
                "labels": spec["template"]["metadata"]["labels"],
            }
            inner = {"selector": spec["selector"], "template": copy.deepcopy(spec["template"]), "replicas": 0}
            self.add("replicasets", {"metadata": meta, "spec": inner})
        pods = self.objects.setdefault("pods", {})
        kept = [pod for pod in pods if pod.startswith(f"{mine}-")][: spec["replicas"]]
        for pod in [pod for pod in pods if pod.startswith(f"{name}-") and pod not in kept]:
            del pods[pod]
        for number in range(len(kept), spec["replicas"]):
            self.add("pods", _pod(f"{mine}-{number}-{self.version}", found))
        count = spec["replicas"]
        found["status"] = {"replicas": count, "readyReplicas": count, "availableReplicas": count}

    def _one(self, verb: str, resource: str, name: str, part: str, asked: Asked) -> Answer:
        item = self.objects.get(resource, {}).get(name)
        if item is None:
            return refusal(404, "NotFound")
        if part == "log":
            return Answer(200, self.logs.get(name, ""), "text/plain")
        if verb == "patch":
            refused = self._patch(item, part, asked.json)
            if refused is not None:
                return refused
            if resource == "deployments":
                self.settle(name)
                self.watch()
            if resource == "horizontalpodautoscalers":
                self._autoscale(item["spec"])
            if self.silent_after_write:
                self.silent = True
                return HANG
        return Answer(200, _scale(item) if part == "scale" else item)

    def _autoscale(self, spec: dict[str, Any]) -> None:
        """See to the minimum, as the autoscaler does without any metrics."""
        found = self.objects["deployments"][spec["scaleTargetRef"]["name"]]
        found["spec"]["replicas"] = max(found["spec"]["replicas"], spec.get("minReplicas", 1))
        self.settle(found["metadata"]["name"])

    def _patch(self, item: dict[str, Any], part: str, body: dict[str, Any]) -> Answer | None:
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != item["metadata"]["resourceVersion"]:
            return refusal(409, "Conflict")
        if body.get("spec", {}).get("replicas", 0) < 0:
            return refusal(422, "Invalid")
        if part == "status":
            _merge(item.setdefault("status", {}), body.get("status", {}))
        else:
            _merge(item["spec"], body.get("spec", {}))
        item["metadata"]["resourceVersion"] = self.next_version()
        return None

    def _listed(self, resource: str, asked: Asked) -> list[dict[str, Any]]:
        wanted = dict(term.split("=") for term in asked.query.get("labelSelector", "").split(",") if term)
        return [
            item
            for item in self.objects.get(resource, {}).values()
            if all(item["metadata"].get("labels", {}).get(key) == value for key, value in wanted.items())
        ]

    def _allowed(self, verb: str, group: str, resource: str, name: str) -> bool:
        return any(
            verb in rule["verbs"]
            and group in rule["apiGroups"]
            and resource in rule["resources"]
            and (not rule.get("resourceNames") or name in rule["resourceNames"])
            for rule in self.rules
        )

    def next_version(self) -> str:
        """Give the next resource version."""
        self.version += 1
        return str(self.version)


def _pod(name: str, owner: dict[str, Any]) -> dict[str, Any]:
    template = owner["spec"]["template"]
    status = {"name": "worker", "ready": True, "restartCount": 0, "image": "", "imageID": "", "state": {"running": {}}}
    return {
        "metadata": {"name": name, "labels": template["metadata"]["labels"]},
        "spec": copy.deepcopy(template["spec"]),
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def _scale(item: dict[str, Any]) -> dict[str, Any]:
    count = item["spec"]["replicas"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": item["metadata"],
        "spec": {"replicas": count} if count else {},
        "status": {"replicas": count},
    }


def _merge(into: dict[str, Any], said: dict[str, Any]) -> None:
    for key, value in said.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
