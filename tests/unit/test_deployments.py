"""The deployments of prefect.yaml: they load, and their forms say what to fill in."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.flows import Flow, load_flow_from_entrypoint

from deployments.serve import manifest, module_path, project_folder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DEPLOYMENTS = manifest()
NAMES = [f"{Path(said['entrypoint']).stem.replace('_', '-')}/{said['name']}" for said in DEPLOYMENTS]
FACES = [
    "approval",
    "assess",
    "diagnose",
    "act",
    "discard",
    "drain",
    "follow-up",
    "quarantine",
    "verify",
    "rollback",
    "incident",
]
REPORTS = ["depth-report/nightly", "weekly-review/weekly"]


def load(said: dict[str, Any]) -> Flow[..., Any]:
    """Load a flow by its file, with no placeholder for one that cannot be imported."""
    return load_flow_from_entrypoint(str(project_folder() / said["entrypoint"]), use_placeholder_flow=False)


def test_every_chapter_has_a_deployment() -> None:
    """The names that people and other programs call are deployed."""
    assert sorted(NAMES) == sorted([f"{name}/{name}" for name in FACES] + REPORTS)


def test_the_manifest_names_no_absolute_path() -> None:
    """Somebody else's clone works too."""
    assert all(not Path(said["entrypoint"]).is_absolute() for said in DEPLOYMENTS)
    assert str(project_folder()) not in (project_folder() / "prefect.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("said", DEPLOYMENTS, ids=NAMES)
def test_the_entrypoint_loads(said: dict[str, Any]) -> None:
    """The file is there, imports what it needs and holds the flow that people call by this name."""
    assert f"{load(said).name}/{said['name']}" in NAMES


@pytest.mark.parametrize("said", DEPLOYMENTS, ids=NAMES)
def test_every_parameter_says_what_it_is(said: dict[str, Any]) -> None:
    """The form in the Prefect UI has a title and a description for each field, and asks for the queue."""
    schema = load(said).parameters.model_dump()
    for name, field in schema["properties"].items():
        assert field["title"] != name, f"{name} has no title of its own"
        assert field["description"]
    assert "queue" in schema["required"] or schema["properties"]["queue"]["default"] == "all"


def test_the_runbook_is_the_default_pace_of_a_drain() -> None:
    """100 a batch, 30 seconds between, 10 batches, and bounds on each."""
    fields = load(next(said for said in DEPLOYMENTS if said["name"] == "drain")).parameters.properties
    defaults = {name: fields[name]["default"] for name in ("batch", "pause", "max_batches", "pace")}
    assert defaults == {"batch": 100, "pause": 30, "max_batches": 10, "pace": "fixed"}
    assert all("minimum" in fields[name] and "maximum" in fields[name] for name in ("batch", "pause", "max_batches"))


def test_serving_works_from_another_folder(tmp_path: Path) -> None:
    """The deployments are made by module path, which plays in any working directory."""
    code = "from deployments.serve import runner_deployments as r; print(*(d.entrypoint for d in r()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [module_path(said["entrypoint"]) for said in DEPLOYMENTS]
