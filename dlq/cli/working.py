"""Commands that move messages: drain, quarantine, resume; and stop, which ends one of them early."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dlq.cli.options import edit_options, guard_options, pace_options, selector_options, settle_options, work_options

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.engine.run import Request, Run
    from dlq.engine.sift import Wave
    from dlq.engine.verify import Outcome
    from dlq.records.ledger import RunRecord

_GRACE = 2.0  # seconds that a drain with a fixed pace, or none, waits for bounces
_STOPPED_BY_BREAKER = 4
_ENDED = frozenset({"done", "tripped"})
_RESUMED = frozenset({"drain", "quarantine", "discard"})


@click.command()
@click.argument("queue")
@selector_options
@edit_options
@pace_options
@guard_options
@settle_options
@work_options
def drain(queue: str, **given: Any) -> None:
    """Redrive messages of QUEUE from its DLQ to its live queue. Then look at what becomes of them."""
    _work("drain", queue, given)


@click.command()
@click.argument("queue")
@selector_options
@click.option("--corrupted", is_flag=True, help="Only messages that cannot be read.")
@work_options
def quarantine(queue: str, **given: Any) -> None:
    """Move messages of QUEUE from its DLQ to its quarantine. Nothing works on them there."""
    _work("quarantine", queue, {**given, "mode": "none"})


@click.command()
@click.argument("run")
@click.option("--take-over", is_flag=True, help="Take the queue from the run's process even if its lock is still held.")
@settle_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def resume(run: str, *, take_over: bool, settle: float, grace: float | None, as_json: bool) -> None:
    """Go on with RUN where its ledger says that it stopped. A run that has ended is shown."""
    from dlq.brokers.opening import open_run  # noqa: PLC0415
    from dlq.cli.asking import whoami  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine import run as runs  # noqa: PLC0415
    from dlq.engine.verify import verify  # noqa: PLC0415
    from dlq.messages.reading import Reading  # noqa: PLC0415

    with open_run(load_settings(), run) as (broker, config, record):
        if record.state in _ENDED and record.kind in _RESUMED:  # its end may be news: the answer can have been lost
            click.echo(f"run {run} is {record.state} already; there is nothing left to do.", err=True)
            _report(broker, record, verify(broker, run, Reading.of(config)), as_json=as_json)
            return
        taken = [take_over]

        def again() -> Run:
            opened = runs.resume(broker, config, run, whoami(), take_over=taken[0])
            taken[0] = True  # from here on the run is ours: after a lost connection its lock is taken back
            return opened

        _drive_and_report(broker, config, runs.Request.from_record(record), again, settle, grace, as_json=as_json)


@click.command()
@click.argument("run")
@click.option("--reason", default="", metavar="TEXT", help="Why: it stays in the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def stop(run: str, reason: str, *, as_json: bool) -> None:
    """Ask RUN to stop. It finishes the wave in hand, ends as done, and is verified."""
    from dlq.brokers.opening import open_notebook, open_run  # noqa: PLC0415
    from dlq.cli.asking import whoami  # noqa: PLC0415
    from dlq.cli.render import emit  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.errors import RunStateError  # noqa: PLC0415
    from dlq.records.stop import ask  # noqa: PLC0415

    settings = load_settings()
    with open_run(settings, run) as (_, config, record), open_notebook(settings, config.name) as notebook:
        if not record.running:
            raise RunStateError(f"run {run} on queue {config.name} is {record.state} already; nothing to stop.")
        request = ask(notebook, run, reason, whoami())
    if as_json:
        emit({"run_id": run, "why": request.why, "who": request.who, "at": request.at})
    else:
        click.echo(f"run {run} is asked to stop by {request.who}; it ends after the wave in hand.")


def _work(kind: str, name: str, given: dict[str, Any]) -> None:
    from dlq.brokers.opening import open_queue  # noqa: PLC0415
    from dlq.cli.asking import request_of  # noqa: PLC0415
    from dlq.cli.guard import pass_gate, show_plan  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine import run as runs  # noqa: PLC0415

    settings = load_settings()
    with open_queue(settings, name) as (broker, config):
        request = request_of(kind, given, config)
        if given["dry_run"]:
            show_plan(settings, broker, config, request, as_json=given["as_json"])
            return
        run_id = runs.new_run_id(config.name)
        facts = pass_gate(settings, broker, config, request, run_id, given)

        def again() -> Run:
            opened = runs.start(broker, config, request, run_id)
            if facts:
                broker.annotate(run_id, facts)
            return opened

        settle, grace = given.get("settle", 0.0), given.get("grace")
        _drive_and_report(broker, config, request, again, settle, grace, as_json=given["as_json"])


def _drive_and_report(
    broker: DeadLetterQueue,
    config: QueueConfig,
    request: Request,
    open_run: Any,
    settle: float,
    grace: float | None,
    *,
    as_json: bool,
) -> None:
    import time  # noqa: PLC0415

    from dlq.admission.past import note_outcome  # noqa: PLC0415
    from dlq.brokers.opening import open_notebook  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine.run import find_run  # noqa: PLC0415
    from dlq.engine.verify import verify  # noqa: PLC0415
    from dlq.messages.reading import Reading  # noqa: PLC0415
    from dlq.pacing import drive  # noqa: PLC0415
    from dlq.pacing.pace import Mode, Pace  # noqa: PLC0415
    from dlq.pacing.undoing import withdraw_tripped  # noqa: PLC0415
    from dlq.pacing.watch import look_back  # noqa: PLC0415
    from dlq.summaries.success import note_success  # noqa: PLC0415

    pace = Pace.from_parameters(request.pace)
    with open_notebook(load_settings(), config.name) as notebook:
        record: RunRecord = drive.drive(open_run, pace, time.sleep, _progress, notebook)
        if withdraw_tripped(broker, config, record):
            record = find_run(broker, record.run_id)
        # An adaptive drain that came to its own end has waited for the last outcome already.
        if record.redriven and (pace.mode is not Mode.ADAPTIVE or record.state != "done" or record.facts.get("note")):
            drive.settle(broker, settle, _GRACE if grace is None else grace, time.sleep)
        look_back(broker, config, record.run_id, notebook)
        outcome = verify(broker, record.run_id, Reading.of(config))
        note_outcome(broker, notebook, outcome)
    success = note_success(broker, load_settings(), config.name, record.run_id) if record.redriven else ""
    broker.annotate(record.run_id, {"conservation": outcome.conservation})
    _report(broker, record, outcome, success, as_json=as_json)


def _report(broker: DeadLetterQueue, record: RunRecord, outcome: Outcome, success: str = "", *, as_json: bool) -> None:
    """Print what became of a run, and end with the exit status of that."""
    from dlq.cli.render import emit, result_json, show_result  # noqa: PLC0415

    texts = broker.signatures(record.run_id)
    if as_json:
        emit(result_json(record, outcome) | {"success_rate": success or None})
    else:
        show_result(record, outcome, texts)
        if success:
            click.echo(f"processing success rate: {success}")
    if outcome.unexplained:
        sys.exit(1)
    if outcome.breaker:
        sys.exit(_STOPPED_BY_BREAKER)


def _progress(run: Run, wave: Wave) -> None:
    """Say on stderr what a wave did, so that stdout stays the result."""
    left = "the pass is at its end" if wave.ended else f"{run.sift.remaining:,} not looked at yet"
    refused = f", {wave.refused:,} kept because the edit did not apply" if wave.refused else ""
    click.echo(
        f"{run.run_id} wave {wave.number}: {wave.selected:,} of {wave.scanned:,} selected{refused}; {left}",
        err=True,
    )


COMMANDS = (drain, quarantine, resume, stop)
