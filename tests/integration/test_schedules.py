"""Schedules on a real Prefect server with the locked dependencies: runs appear, at the right local time, all year.

With other versions the scheduler failed in every loop and no run ever appeared, in silence.
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deployments.serve import project_folder
from tests.prefect_site import PrefectSite

pytestmark = pytest.mark.timeout(600)
BERLIN = ZoneInfo("Europe/Berlin")
AHEAD = 390  # days: both changes of the clocks lie in them, whatever day it is


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectSite]:
    """Run a server that schedules a year ahead, and serve the deployments in the time of Berlin."""
    folder = tmp_path_factory.mktemp("schedules")
    (folder / "dlq.toml").write_text('timezone = "Europe/Berlin"\n[queues.orders]\n', encoding="utf-8")
    settings = {
        "DLQ_CONFIG": str(folder / "dlq.toml"),
        "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME": f"P{AHEAD}D",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": str(AHEAD + 10),
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": str(AHEAD + 10),
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    }
    with PrefectSite(folder, settings) as site:
        yield site


def deployment(site: PrefectSite, name: str) -> Any:
    """Read a deployment, when it is there."""
    return site.wait_for(lambda: site.call("GET", f"/deployments/name/{name}"))


def scheduled(site: PrefectSite, deployment_id: str, schedule_id: str, least: int) -> list[datetime]:
    """Wait until a schedule has that many runs ahead; give their moments in Berlin."""

    def runs() -> list[datetime]:
        found: list[datetime] = []
        while True:
            asked = {
                "flow_runs": {"deployment_id": {"any_": [deployment_id]}, "state": {"type": {"any_": ["SCHEDULED"]}}},
                "sort": "EXPECTED_START_TIME_ASC",
                "limit": 200,
                "offset": len(found),
            }
            part = site.call("POST", "/flow_runs/filter", asked)
            found += [
                datetime.fromisoformat(run["expected_start_time"]).astimezone(BERLIN) if mine(run) else None
                for run in part
            ]
            if len(part) < 200:
                return [at for at in found if at is not None]

    def mine(run: dict[str, Any]) -> bool:
        return bool(run["created_by"]["id"] == schedule_id)

    return site.wait_for(lambda: found if len(found := runs()) >= least else None)


def changes() -> tuple[datetime, datetime]:
    """Find the next change of the clocks forward, and the next one back, to the hour."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).astimezone(BERLIN)
    hours = [(first.astimezone(UTC) + timedelta(hours=n)).astimezone(BERLIN) for n in range(AHEAD * 24)]
    forward = [after for before, after in pairwise(hours) if offset(after) > offset(before)]
    back = [after for before, after in pairwise(hours) if offset(after) < offset(before)]
    return forward[0], back[0]


def offset(at: datetime) -> timedelta:
    """Give the distance from UTC."""
    return at.utcoffset() or timedelta(0)


def test_the_reports_are_scheduled_at_their_local_hour_all_year(site: PrefectSite) -> None:
    """The night's report comes each day at 06:30 in Berlin, in summer and in winter; the week's on Mondays at 07:00."""
    nightly = deployment(site, "depth-report/nightly")
    (schedule,) = nightly["schedules"]
    found = scheduled(site, nightly["id"], schedule["id"], AHEAD - 5)
    assert {at.strftime("%H:%M") for at in found} == {"06:30"}
    days = [at.date() for at in found]
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    assert {at.utcoffset() for at in found} == {timedelta(hours=1), timedelta(hours=2)}
    assert {change.date() for change in changes()} <= set(days)

    weekly = deployment(site, "weekly-review/weekly")
    (schedule,) = weekly["schedules"]
    found = scheduled(site, weekly["id"], schedule["id"], AHEAD // 7 - 2)
    assert {at.strftime("%a %H:%M") for at in found} == {"Mon 07:00"}


def test_an_hour_that_is_missing_or_comes_twice(site: PrefectSite) -> None:
    """What somebody gets who sets 02:30: one run each day, an hour early where that time is missing, never two."""
    nightly = deployment(site, "depth-report/nightly")
    asked = [{"active": True, "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}}]
    (made,) = site.wait_for(lambda: site.call("POST", f"/deployments/{nightly['id']}/schedules", asked))
    found = scheduled(site, nightly["id"], made["id"], AHEAD - 5)
    forward, back = (change.date() for change in changes())
    times = {at.date(): at.strftime("%H:%M %Z") for at in found}
    assert len(times) == len(found)
    assert (times[forward], times[back]) == ("01:30 CET", "02:30 CEST")
    assert {said[:5] for day, said in times.items() if day != forward} == {"02:30"}


def test_serving_again_leaves_one_schedule(site: PrefectSite) -> None:
    """A second process that serves, or the same after a restart, doubles no night."""
    before = deployment(site, "depth-report/nightly")
    code = "from deployments.serve import runner_deployments as r; [d.apply() for d in r()]"
    subprocess.run([sys.executable, "-c", code], cwd=site.folder, env=site.environment, check=True, capture_output=True)
    after = deployment(site, "depth-report/nightly")
    assert after["id"] == before["id"]
    ours = [said for said in after["schedules"] if said["schedule"]["cron"] == "30 6 * * *"]
    assert [said["schedule"]["timezone"] for said in ours] == ["Europe/Berlin"]


def test_prefect_deploy_registers_the_same_forms_and_hours(site: PrefectSite) -> None:
    """`prefect deploy --all` for a work pool offers the configured queues, and takes the time zone of DLQ_TIMEZONE."""
    prefect = Path(sys.executable).with_name("prefect")
    env = {**site.environment, "DLQ_TIMEZONE": "Europe/Lisbon"}
    for command in (["work-pool", "create", "dlq-drain", "--type", "process"], ["--no-prompt", "deploy", "--all"]):
        done = subprocess.run(
            [prefect, *command], cwd=project_folder(), env=env, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    made = deployment(site, "drain/drain")
    assert made["work_pool_name"] == "dlq-drain"
    assert made["parameter_openapi_schema"]["properties"]["queue"]["enum"] == ["orders"]
    (schedule,) = deployment(site, "depth-report/nightly")["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("30 6 * * *", "Europe/Lisbon")
