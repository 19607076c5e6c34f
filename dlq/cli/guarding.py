"""Commands around a drain: preflight, approve."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dlq.admission.approvals import Asked, Decision
    from dlq.config.settings import Settings

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")


@click.command()
@click.argument("queue")
@click.option("--fixed", default="", metavar="TEXT", help="What was mended since the newest failure.")
@as_json
def preflight(queue: str, fixed: str, *, as_json: bool) -> None:
    """Look whether QUEUE can be drained. The checks: consumers, health, live queue, success rate, fix, memory."""
    import time  # noqa: PLC0415

    from dlq.admission.preflight import Ask  # noqa: PLC0415
    from dlq.admission.preflight import preflight as look  # noqa: PLC0415
    from dlq.brokers.opening import open_queue  # noqa: PLC0415
    from dlq.cli.render import console, emit, table  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    with open_queue(settings, queue) as (broker, config):
        found = look(settings, broker, config, Ask(fixed=fixed), time.sleep)
    if as_json:
        emit(found.as_dict())
    else:
        table(["check", "result", "evidence"], [[one.name, one.result, one.evidence] for one in found.checks])
        console().print("go" if found.go else "refused: " + "; ".join(found.refusals))
    sys.exit(0 if found.go else 3)


@click.command()
@click.argument("run")
@click.option("--reject", is_flag=True, help="Say no instead.")
@click.option("--limit", type=click.IntRange(1), help="Lower what may be moved.")
@click.option("--reason", default="", metavar="TEXT", help="Why: it stays in the ledger.")
@as_json
def approve(run: str, reason: str, *, limit: int | None, reject: bool, as_json: bool) -> None:
    """Answer the plan that RUN waits with."""
    from dlq.admission import approvals  # noqa: PLC0415
    from dlq.brokers.opening import open_notebook  # noqa: PLC0415
    from dlq.cli.asking import whoami  # noqa: PLC0415
    from dlq.cli.render import console, emit  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.errors import ApprovalError  # noqa: PLC0415

    settings = load_settings()
    word = approvals.Answer.REJECT if reject else approvals.Answer.APPROVE
    for name in sorted(settings.queues, key=lambda name: not run.startswith(f"{name}-")):
        with open_notebook(settings, name) as notebook:
            asked = approvals.asked(notebook, run)
            if asked is None:
                continue
            answer = approvals.Decision(answer=word, who=whoami(), why=reason, limit=limit, by="command")
            stands = approvals.decide(notebook, run, asked.plan.hash, answer)
        asleep = _wake(settings, asked, stands)
        kept = f"The answer is kept: {_read_when(settings, asked)}" if asleep else ""
        if as_json:
            woken = {"woken": not asleep, "not_woken": asleep or None, "kept": kept or None}
            emit({"run_id": run, "plan": asked.plan.hash, **woken, **stands.model_dump(mode="json")})
        else:
            course = f"was not woken, {asleep}. {kept}" if asleep else "goes on now"
            console().print(f"{run}: {stands.words}; the flow run {course}.", markup=False)
        if stands != answer:
            sys.exit(3)
        return
    raise ApprovalError("The run waits for no answer", run=run)


def _wake(settings: Settings, asked: Asked, stands: Decision) -> str:
    """Let the waiting flow run go on, on the Prefect server that is configured; else say why it does not."""
    from dlq.admission.approvals import form_of  # noqa: PLC0415
    from dlq.up.errors import PrefectApiError  # noqa: PLC0415
    from dlq.up.prefect_access import configured, why_not  # noqa: PLC0415

    if not asked.flow_run:
        return "since no flow run waits by itself"
    try:
        api = configured(settings.ui_port)
    except PrefectApiError as exc:
        return f"since {exc.detail.rstrip('.')}"
    try:
        answer = api.call("POST", f"/flow_runs/{asked.flow_run}/resume", {"run_input": form_of(stands)})
    except PrefectApiError as exc:
        return f"since {why_not(exc, api)}"
    if answer and answer.get("status") == "ACCEPT":
        return ""
    return "since it does not wait any more, or did not take the answer"


def _read_when(settings: Settings, asked: Asked) -> str:
    """Say when an answer is read that woke nobody."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from dlq.admission.approvals import next_look  # noqa: PLC0415

    if not asked.flow_run:
        return "the flow run reads it when it is retried"
    every = settings.policy_of(asked.plan.queue).approval_reminder
    at = next_look(asked, every, datetime.now(UTC)).astimezone(settings.zone)
    return f"it is read at {at:%Y-%m-%d %H:%M %Z}, with the next reminder, or once somebody resumes the flow run"


COMMANDS = (preflight, approve)
