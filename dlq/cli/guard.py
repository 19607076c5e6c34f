"""What a command does between the request and the first move: pre-flight, plan, a person's yes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from dlq.admission.gate import Gate, admit, agreed
from dlq.brokers.opening import open_notebook
from dlq.cli.asking import agree, whoami
from dlq.cli.render import console, emit, table
from dlq.errors import BadArgumentError

if TYPE_CHECKING:
    from dlq.admission.plan import Plan
    from dlq.admission.preflight import Preflight
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig, Settings
    from dlq.engine.run import Request


def pass_gate(
    settings: Settings,
    queue: DeadLetterQueue,
    config: QueueConfig,
    request: Request,
    run_id: str,
    given: dict[str, Any],
) -> dict[str, str]:
    """Look, plan and ask; give the facts for the ledger, or raise RefusedError, or stop where nobody says yes."""
    if not given["yes"] and not sys.stdin.isatty():
        raise BadArgumentError("There is nobody to ask here: say --yes, or --dry-run to only look.")
    with open_notebook(settings, config.name) as notebook:
        gate = Gate(settings, queue, config, notebook)
        kept: dict[str, str] = {}
        fixed = given.get("fixed") or ""
        found = gate.preflight(request, time.sleep, attended=True, fixed=fixed)
        kept |= admit(notebook, run_id, found, given.get("override") or "", whoami())
        _warn(found)
        plan = gate.plan(request)
        why = gate.reasons(plan)
        if not given["yes"]:
            agree(question(plan, why))
        if why:
            kept |= agreed(notebook, run_id, plan, why, whoami(), request.reason)
    return kept


def question(plan: Plan, why: tuple[str, ...]) -> str:
    """Ask for a yes to a plan."""
    needs = f" (needs a person: {', '.join(why)})" if why else ""
    lasts = "" if plan.seconds is None else f" in {plan.duration}"
    return f"{plan.kind.capitalize()} {plan.selected:,} of {plan.depth:,} messages of {plan.queue}{lasts}{needs}?"


def show_plan(
    settings: Settings, queue: DeadLetterQueue, config: QueueConfig, request: Request, *, as_json: bool
) -> None:
    """Print what a run would do; nothing is moved and nothing is asked."""
    with open_notebook(settings, config.name) as notebook:
        gate = Gate(settings, queue, config, notebook)
        seen, plan = gate.foresee(request)
        why = gate.reasons(plan)
    if as_json:
        emit(seen.as_dict() | {"plan": plan.as_dict() | {"needs_a_person": list(why)}})
        return
    out = console()
    out.print(
        f"dry run: {request.kind} of {config.name} would select {seen.selected:,} of {seen.depth:,}; nothing was moved"
    )
    if seen.selected:
        table(["type", "messages"], seen.types.items())
        table(
            ["signature", "failure", "messages", "bounced before"],
            [[one.key, one.text, one.count, _share(one.bounce_rate)] for one in plan.signatures],
        )
        waves = "" if plan.waves is None else f"{plan.waves:,} "
        out.print(f"{waves}{plan.pacing}; duration {plan.duration} (consumers: {plan.rate_from})")
    if plan.bounces is not None:
        out.print(f"{plan.bounces:,.0f} are expected to bounce, by earlier runs of their signatures")
    if why:
        out.print(f"needs a person: {', '.join(why)}")
    if seen.refused:
        out.print(f"the edit does not apply to {seen.refused:,} messages, which would be kept")
    for diff in seen.diffs:
        out.print(diff)


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.0%}"


def _warn(found: Preflight) -> None:
    for line in (*found.warnings, *(f"overridden: {reason}" for reason in found.refusals)):
        click.echo(f"pre-flight: {line}", err=True)
