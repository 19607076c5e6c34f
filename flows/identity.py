"""Who asked for a flow run, when, and what the ledger calls it: the same on every retry of the flow run."""

from datetime import UTC, datetime

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError

from dlq.engine.run import run_id_of
from flows.forms import ALL

NOBODY = "prefect"


def current_run() -> FlowRun:
    """Give the flow run that this code is in."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise MissingContextError("This belongs into a flow run: start the flow, not its function.")
    return FlowRun.model_validate(context.flow_run, from_attributes=True)


def asked_at() -> datetime:
    """Give the moment at which the flow run was created, in UTC."""
    return (current_run().created or datetime.now(UTC)).astimezone(UTC)


def ledger_id(queue: str) -> str:
    """Name the ledger run, such as `webhooks-2026-11-24-1532-7f3a9c`.

    A retry of a flow run from the UI has the flow run's id and creation time, and so goes on under the same name.
    """
    return run_id_of(queue, asked_at(), current_run().id)


def asker() -> str:
    """Name who created the flow run, where Prefect knows it."""
    creator = current_run().created_by
    return (creator.display_value if creator else None) or NOBODY


def run_name() -> str:
    """Name a flow run `{queue}-{date}`, such as `webhooks-2026-11-24-1532`."""
    run = current_run()
    return f"{run.parameters.get('queue', 'queue')}-{asked_at():%Y-%m-%d-%H%M}"


def report_name() -> str:
    """Name the run of a report `{report}-{date}`, such as `depth-report-2026-11-24`; a single queue stands in it."""
    context, run = FlowRunContext.get(), current_run()
    report = context.flow.name if context and context.flow else "report"
    queue = run.parameters.get("queue", ALL)
    return "-".join(filter(None, (report, queue if queue != ALL else "", f"{asked_at():%Y-%m-%d}")))
