"""Serve every deployment of prefect.yaml from one process: `python -m deployments.serve`, from any folder.

Flow runs are child processes that import the flows by their module path, so the folder that this was started in
plays no part. The flows must be importable: `make install`, or `pip install -e` of the project folder.
"""

import importlib.util
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow, serve
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from dlq.settings import load_settings

MANIFEST = "prefect.yaml"


class ProjectFolderError(RuntimeError):
    """The project folder cannot be found."""


def project_folder() -> Path:
    """Find the folder that holds prefect.yaml: the one that the installed packages lie in."""
    spec = importlib.util.find_spec("deployments")
    for package in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(package).parent
        if (folder / MANIFEST).is_file():
            return folder
    raise ProjectFolderError(
        f"There is no {MANIFEST} beside the installed package `deployments`. Install the project folder itself"
        " (`make install`, or `pip install -e FOLDER`), or start this in the project folder."
    )


def manifest() -> list[dict[str, Any]]:
    """Read the deployments of prefect.yaml."""
    said = yaml.safe_load((project_folder() / MANIFEST).read_text(encoding="utf-8"))
    deployments: list[dict[str, Any]] = said["deployments"]
    return deployments


def module_path(entrypoint: str) -> str:
    """Turn `flows/drain.py:drain` into `flows.drain.drain`."""
    file, _, function = entrypoint.partition(":")
    return ".".join((*Path(file).with_suffix("").parts, function))


def schedules(said: dict[str, Any], timezone: str) -> list[Schedule]:
    """Give the cron schedules of a deployment; their hours are those of the time zone of the settings."""
    return [Cron(schedule["cron"], timezone=timezone) for schedule in said.get("schedules", [])]


def runner_deployments() -> list[RunnerDeployment]:
    """Load each flow, with no placeholder for one that cannot be imported, and make its deployment."""
    found = []
    timezone = load_settings().timezone
    for said in manifest():
        flow: Flow[..., Any] = load_flow_from_entrypoint(module_path(said["entrypoint"]), use_placeholder_flow=False)
        found.append(
            RunnerDeployment.from_flow(
                flow,
                said["name"],
                description=said["description"],
                tags=said["tags"],
                schedules=schedules(said, timezone),
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
        )
    return found


def main() -> None:
    """Serve until stopped; PREFECT_API_URL names the server."""
    serve(*runner_deployments())


if __name__ == "__main__":
    main()
