"""How steps are retried: only when the broker may well answer the next time."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from dlq.errors import (
    BrokerMemoryError,
    BrokerUnreachableError,
    ClusterConflictError,
    ClusterSilentError,
    QueueDisturbedError,
    WorkersSilentError,
)

P = ParamSpec("P")
R = TypeVar("R")

PASSING = (
    BrokerUnreachableError,
    BrokerMemoryError,
    QueueDisturbedError,
    ClusterSilentError,
    ClusterConflictError,
    WorkersSilentError,
)
DELAYS: list[float] = [1, 4, 16]  # seconds; one lock time of 30 s stands above their sum


def may_pass(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Say whether a failed step is worth another attempt; every other error is final."""
    return isinstance(state.result(raise_on_failure=False), PASSING)


def step(name: str, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task of a function that may be called twice with the same effect.

    `run_name` is a template of what people see of its runs, without it the name in words.
    """
    decorate: Callable[[Callable[P, R]], Task[P, R]] = task(
        name=name,
        task_run_name=run_name or name.replace("-", " "),
        cache_policy=NO_CACHE,
        retries=len(DELAYS),
        retry_delay_seconds=DELAYS,
        retry_jitter_factor=0.3,
        retry_condition_fn=may_pass,
    )
    return decorate
