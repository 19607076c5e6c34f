"""How soon the receiver answers Alertmanager, under 50 posts a second, with a real Prefect server behind it."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.latency import everything
from benchmarks.rows import Row, row

if TYPE_CHECKING:
    from benchmarks.measures import Bench
    from dlq.up.services import Plan

_RATE = 50  # posts a second
_LIMIT_MS = 250.0
_QUEUES = ("webhooks", "jobs", "experiments")


def receiving(bench: Bench) -> list[Row]:
    """Measure posts that keep to the clock, whatever the answers before them took. The baseline is a health check."""
    seconds = 30 if bench.times > 1 else 6
    os.sync()  # what earlier measurements left to be written would hold up each commit of Prefect's database
    with everything() as (plan, _):
        taken, bare = asyncio.run(_posts(plan, seconds))
    high, low = _percentile_99(taken), _percentile_99(bare)
    name = f"receiver, 99th percentile of POST /alerts at {_RATE}/s"
    return [
        row(name, high, "ms", low, f"at most {_LIMIT_MS:.0f} ms", ok=high <= _LIMIT_MS),
        row("  of that, median", statistics.median(taken), "ms", statistics.median(bare), "GET /openapi.json", ok=True),
    ]


async def _posts(plan: Plan, seconds: int) -> tuple[list[float], list[float]]:
    """Post for so long; give the milliseconds of each answer, and those of bare requests in between."""
    token = plan.settings.receiver_token
    headers = {"Authorization": f"Bearer {token.get_secret_value() if token else ''}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        await _once(client, "POST", plan.receiver, _payload(0))
        begin = time.perf_counter() + 0.5
        elsewhere = plan.receiver.replace("/alerts", "/openapi.json")
        tasks, bare = [], []
        for number in range(_RATE * seconds):
            due = begin + number / _RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(_once(client, "POST", plan.receiver, _payload(number), due)))
            if number % 10 == 0:
                bare.append(asyncio.create_task(_once(client, "GET", elsewhere)))
        return await asyncio.gather(*tasks), await asyncio.gather(*bare)


async def _once(
    client: httpx.AsyncClient, method: str, url: str, body: dict[str, Any] | None = None, due: float | None = None
) -> float:
    """Send a request; give the milliseconds from when it was due to its answer."""
    begin = due if due is not None else time.perf_counter()
    answer = await client.request(method, url, json=body)
    answer.raise_for_status()
    return (time.perf_counter() - begin) * 1000


def _payload(number: int) -> dict[str, Any]:
    """Make a post: every second one is a repeat, the others are new alerts on one of three queues."""
    queue = _QUEUES[number // 2 % len(_QUEUES)]
    alert = {
        "status": "firing",
        "labels": {"alertname": "HighDLQDepth", "queue": queue, "severity": "high", "level": "1"},
        "annotations": {"summary": f"{queue}: many messages in the DLQ"},
        "startsAt": datetime(2026, 11, 25, tzinfo=UTC).isoformat(),
        "fingerprint": f"{number // 2:016x}",
    }
    return {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "alerts": [alert]}


def _percentile_99(milliseconds: list[float]) -> float:
    return statistics.quantiles(milliseconds, n=100, method="inclusive")[-1]
