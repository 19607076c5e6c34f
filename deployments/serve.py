"""Serve every deployment of prefect.yaml from one process: `python -m deployments.serve`, from any folder.

Flow runs are child processes that import the flows by their module path, so the folder that this was started in
plays no part. The flows must be importable: `make install`, or `pip install -e` of the project folder.

No deployment has a limit of runs at once, and the runner has none: a run that waits for an approval is a process that
waits, and Prefect takes the slot of a paused run away and crashes it. The queue's lock keeps rivals apart.
"""

import importlib.util
from pathlib import Path
from typing import Any, Final

import yaml
from prefect import Flow, serve
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron, Schedule
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from dlq.config.settings import load_settings

MANIFEST = "prefect.yaml"
POLL_SECONDS: Final = 0.5
"""How often the runner asks for runs; Prefect's ten seconds would be most of the time between an alert and its run."""


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
                parameters=said.get("parameters"),
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
        )
    return found


def poll_seconds() -> float:
    """Give the seconds between two polls: what PREFECT_RUNNER_POLL_FREQUENCY says, else POLL_SECONDS."""
    runner = get_current_settings().runner
    return runner.poll_frequency if "poll_frequency" in runner.model_fields_set else POLL_SECONDS


def main() -> None:
    """Serve until stopped; PREFECT_API_URL names the server.

    A stop does not pause the schedules: Prefect would not start them again with the next start.
    """
    serve(*runner_deployments(), query_seconds=poll_seconds(), pause_on_shutdown=False)


if __name__ == "__main__":
    main()
