"""Carry out a flow run of `drain` in a process that kills itself: STEP NTH before|after FLOW-RUN-ID."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow

import flows.drain


def main() -> None:
    """Put the fuse in, and go."""
    name, nth, when, flow_run_id = sys.argv[1:]
    setattr(flows.drain, name, fused(getattr(flows.drain, name), int(nth), when))
    with get_client(sync_client=True) as server:
        flow_run = server.read_flow_run(UUID(flow_run_id))
    run_flow(flows.drain.drain, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")


def fused(step: Callable[..., Any], nth: int, when: str) -> Callable[..., Any]:
    """Make a step that is the end of its process at its `nth` call."""
    calls = iter(range(1, 1_000))

    def call(*args: Any) -> Any:
        number = next(calls)
        if number == nth and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = step(*args)
        if number == nth and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return call


if __name__ == "__main__":
    main()
