"""From the POST that asks for an incident to the first task of its flow run, with everything that `dlq up` starts."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import redis

from benchmarks.measures import Bench
from benchmarks.rows import Row, row
from dlq.config.settings import Settings
from dlq.demo.alarm import post
from dlq.embedded.redis import free_port
from dlq.up.children import start_child, stop_together
from dlq.up.command import running
from dlq.up.home import hold
from dlq.up.prefect_api import PrefectApi
from dlq.up.services import Plan
from dlq.up.voice import Voice

INCIDENT: Final = "incident/incident"
TRIVIAL: Final = "trivial/trivial"
_TOML: Final = """
[alerts."*".parameters]
pace = "none"
max_batches = 0

[policy]
unattended_levels = [1, 2, 3]

[policy.preflight]
consumers = "off"
health = "off"
live_queue = "off"
success_rate = "off"
fix = "off"
memory = "off"
"""
"""Nobody consumes here and nobody is asked: only the begin of a run is looked at."""
_FREE: Final = {"DLQ_RECEIVER_INCIDENTS_PER_HOUR": "1000", "DLQ_RECEIVER_SETTLE": "0"}
_PATIENCE: Final = 180.0
_QUEUE: Final = "webhooks"
_DLQ: Final = "tokpulse:dlq:webhooks"


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the seconds of one run went: until it was created, taken by the runner, running, in its first task."""

    created: float
    taken: float
    running: float
    first_task: float

    @property
    def total(self) -> float:
        """Give the seconds from the POST to the first task."""
        return self.created + self.taken + self.running + self.first_task


def from_post(bench: Bench) -> list[Row]:
    """Measure incidents that alerts start and, in turns, a flow that does nothing, served by the same means."""
    ours: list[Parts] = []
    trivial: list[Parts] = []
    with everything(_TOML, _FREE) as (plan, api), _served_trivial(plan):
        for number in range(1 + (20 if bench.times > 1 else 2)):  # the first round compiles modules: not counted
            for name, found in ((INCIDENT, ours), (TRIVIAL, trivial)):
                parts = _once(plan, api, name)
                if number:
                    found.append(parts)
    return _rows(ours, trivial)


def _rows(ours: list[Parts], trivial: list[Parts]) -> list[Row]:
    rows = []
    for word, pick, limit in (("median", _median, 4.0), ("95th percentile", _high, 6.0)):
        mine, base = pick([p.total for p in ours]), pick([p.total for p in trivial])
        rows.append(row(f"POST to first task, {word}", mine, "s", base, f"at most {limit:g} s", ok=mine <= limit))
    for part in ("created", "taken", "running", "first_task"):
        mine, base = _median([getattr(p, part) for p in ours]), _median([getattr(p, part) for p in trivial])
        rows.append(row(f"  of that, until {part.replace('_', ' ')}", mine, "s", base or mine, "part", ok=True))
    return rows


def _median(seconds: list[float]) -> float:
    return statistics.median(seconds)


def _high(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def _once(plan: Plan, api: PrefectApi, name: str) -> Parts:
    if name == TRIVIAL:
        deployment = api.deployment(name, _PATIENCE, lambda: None)
        asked = datetime.now(UTC)
        flow_run = api.create_flow_run(deployment, "benchmark", {})
    else:
        _fill(plan)
        asked = datetime.now(UTC)
        (started,) = post(plan, {_QUEUE: 100})
        flow_run = str(started["link"]).rpartition("/")[2]
    deadline = time.monotonic() + _PATIENCE
    while not api.state(flow_run).ended:
        if time.monotonic() > deadline:
            raise TimeoutError(f"flow run {flow_run} has not ended")
        time.sleep(0.5)
    moments = [asked, *_moments(api, flow_run)]
    return Parts(*((b - a).total_seconds() for a, b in pairwise(moments)))


def _moments(api: PrefectApi, flow_run: str) -> tuple[datetime, datetime, datetime, datetime]:
    """Give when a flow run was created, taken, running, and when its first task began."""
    history = api.call("GET", f"/flow_run_states/?flow_run_id={flow_run}")
    states = {state["type"]: _time(state["timestamp"]) for state in reversed(history)}
    deadline = time.monotonic() + _PATIENCE
    asked = {"task_runs": {"flow_run_id": {"any_": [flow_run]}}}
    while True:  # the server learns about task runs by events, somewhat later
        begun = [
            _time(task["start_time"]) for task in api.call("POST", "/task_runs/filter", asked) if task["start_time"]
        ]
        if begun:
            return states["SCHEDULED"], states["PENDING"], states["RUNNING"], min(begun)
        if time.monotonic() > deadline:
            raise TimeoutError(f"flow run {flow_run} has no task run; its states: {list(states)}")
        time.sleep(0.2)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _fill(plan: Plan) -> None:
    """Put a hundred dead letters into the queue, in place of what is there."""
    failed = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    letters = [
        json.dumps({"id": f"m-{n}", "type": "webhook", "error": "TimeoutError: too late", "failedAt": failed})
        for n in range(100)
    ]
    with redis.Redis.from_url(plan.settings.redis_url.get_secret_value()) as client:
        client.delete(_DLQ, "tokpulse:webhooks")
        client.lpush(_DLQ, *letters)


@contextmanager
def everything(toml: str = "", extra: Mapping[str, str] | None = None) -> Iterator[tuple[Plan, PrefectApi]]:
    """Run what `dlq up` runs, in a home and on ports of its own, with a dlq.toml and further settings."""
    folder = Path(tempfile.mkdtemp(prefix="dlq-latency-"))
    ports = {name: free_port() for name in ("ui_port", "receiver_port", "redis_port")}
    try:
        with hold(folder) as home:
            config = folder / "dlq.toml"
            config.write_text(toml, encoding="utf-8")
            plan = Plan.of(Settings.model_validate({"home": folder, "config": config, **ports}), home, extra)
            with running(plan, Voice(quiet=True).say) as supervisor:
                deadline = time.monotonic() + _PATIENCE
                while not supervisor.ready:
                    supervisor.tick()
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"not everything is up; see {home.logs}")
                    time.sleep(0.2)
                yield plan, plan.api
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _served_trivial(plan: Plan) -> Iterator[None]:
    """Serve the trivial flow from a process of its own, polled each second."""
    started = time.time()
    settings = {**plan.environment(), "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    child = start_child(
        "trivial", [sys.executable, "-m", "benchmarks.trivial"], plan.home.logs / "trivial.log", settings
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not plan.api.served_since(TRIVIAL, started):
            if child.ended or time.monotonic() > deadline:
                raise TimeoutError(f"the trivial flow is not served: {child.log_tail()}")
            time.sleep(0.2)
        yield
    finally:
        stop_together([child])
