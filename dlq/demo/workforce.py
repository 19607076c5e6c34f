"""The demo's workers: processes that work on the live queues from the begin to the end of the incidents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dlq.up.children import Child, start_child, stop_together

if TYPE_CHECKING:
    from dlq.demo.world import World
    from dlq.up.guard import Guard
    from dlq.up.services import Plan

WORK_SECONDS: Final = 20.0
"""How long the workers take for all messages of a queue."""
WORKERS: Final = {"webhooks": 2, "jobs": 1, "experiments": 1}
_SLOWEST: Final = 20.0  # messages a second, so that a small demo does not crawl


@contextmanager
def working(plan: Plan, world: World, guard: Guard) -> Iterator[dict[str, list[Path]]]:
    """Let the workers of every queue work; give the logs of each queue. They are stopped at the end."""
    children: list[Child] = []
    logs: dict[str, list[Path]] = {}
    try:
        for queue in world.letters:
            for child, log in _start(plan, world, queue):
                guard.add(child.pid)
                children.append(child)
                logs.setdefault(queue, []).append(log)
        yield logs
    finally:
        stop_together(children)
        for child in children:
            guard.remove(child.pid)


def _start(plan: Plan, world: World, queue: str) -> Iterator[tuple[Child, Path]]:
    folder = plan.home.folder / "workers"
    folder.mkdir(exist_ok=True)
    truth = folder / f"truth-{queue}.txt"
    truth.write_text("\n".join(world.failing(queue)), encoding="utf-8")
    count = WORKERS[queue]
    rate = max(_SLOWEST, len(world.letters[queue]) / WORK_SECONDS / count)
    for number in range(1, count + 1):
        name = f"worker-{queue}-{number}"
        log = folder / f"{name}.tsv"
        log.touch()
        command = [sys.executable, "-m", "dlq.demo.workers", "--queue", queue, "--rate", f"{rate:.1f}"]
        command += ["--truth-file", str(truth), "--log", str(log)]
        yield start_child(name, command, plan.home.logs / f"{name}.log", plan.environment()), log
