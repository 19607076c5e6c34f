"""Every manifest that is shipped is accepted, and the Roles are as small as they are said to be."""

from typing import Any

import pytest
from kubernetes import dynamic

from tests.kubernetes import objects
from tests.kubernetes.worlds import RealWorld, World

ITEMS = [
    pytest.param(item, id=f"{file}-{item['kind']}-{item['metadata']['name']}")
    for file, items in objects.manifests().items()
    for item in items
]


@pytest.mark.parametrize("item", ITEMS)
def test_a_manifest_is_accepted(world: World, item: dict[str, Any]) -> None:
    """By server-side dry run, with unknown fields refused; on the fake its namespace is looked at only."""
    assert item["metadata"]["namespace"] == objects.NAMESPACE
    if not isinstance(world, RealWorld):
        return
    api = dynamic.DynamicClient(world.apps.api_client)
    resource = api.resources.get(api_version=item["apiVersion"], kind=item["kind"])
    made = resource.create(body=item, namespace=objects.NAMESPACE, dry_run="All", field_manager="tests")
    assert unknown_fields(item, made.to_dict()) == []


def unknown_fields(said: Any, made: Any, path: str = "") -> list[str]:
    """List what was said and is not in what the server made of it: it drops the fields that it does not know."""
    if isinstance(said, dict) and isinstance(made, dict):
        lost = [f"{path}.{key}" for key in said if key not in made and said[key] not in ({}, [])]
        return lost + [
            line for key in said if key in made for line in unknown_fields(said[key], made[key], f"{path}.{key}")
        ]
    if isinstance(said, list) and isinstance(made, list):
        return [
            line
            for number, (a, b) in enumerate(zip(said, made, strict=False))
            for line in unknown_fields(a, b, f"{path}[{number}]")
        ]
    return []


def test_no_role_may_write_more_than_a_count() -> None:
    """The only writes are to the scale subresource of named deployments and to autoscalers; no secret is read."""
    writes, reads = set(), set()
    for role in objects.roles().values():
        for rule in role["rules"]:
            for resource in rule["resources"]:
                (writes if {"patch", "update", "create", "delete", "*"} & set(rule["verbs"]) else reads).add(resource)
                if resource.startswith("deployments"):
                    assert rule["resourceNames"] == ["webhook-workers", "job-workers"]
    assert writes == {"deployments/scale", "horizontalpodautoscalers"}
    assert not {"secrets", "configmaps", "*"} & (reads | writes)
