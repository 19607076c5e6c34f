"""Commands of chapters 2 and 3 of the runbook: diagnose, undo."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("queue")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def diagnose(queue: str, *, as_json: bool) -> None:
    """Say why messages of QUEUE fail, the likely causes ranked.

    Errors, workers, metrics, logs and changes are looked at side by side.
    """
    from dlq.brokers.opening import open_queue  # noqa: PLC0415
    from dlq.cli.render import console, emit  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.diagnosis import words  # noqa: PLC0415
    from dlq.diagnosis.gather import gather  # noqa: PLC0415
    from dlq.diagnosis.hypotheses import diagnose as rank  # noqa: PLC0415
    from dlq.engine.assess import assess  # noqa: PLC0415

    settings = load_settings()
    with open_queue(settings, queue) as (broker, config):
        facts = gather(settings, broker, config, assess(broker, config))
    found = rank(facts)
    if as_json:
        emit(words.as_dict(found))
        return
    out = console()
    out.print(f"{queue}: {found.summary}")
    for number, guess in enumerate(found.hypotheses, 1):
        out.print(f"\n{number}. {guess.cause.value} ({guess.confidence}): {guess.text}")
        for line in guess.evidence:
            if line != guess.text:
                out.print(f"   - {line}")
    if facts.workers:
        out.print(f"\nworkers: {facts.workers.summary}")
    if found.notes:
        out.print("\nnot known:")
        for note in found.notes:
            out.print(f"   - {note}")


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def undo(run: str, *, as_json: bool) -> None:
    """Put back what RUN changed around its queue.

    That is counts of workers, the minimum of an autoscaler, concurrency.
    """
    from dlq.actions.book import State  # noqa: PLC0415
    from dlq.actions.undo import queue_of, undo_actions  # noqa: PLC0415
    from dlq.brokers.opening import open_notebook  # noqa: PLC0415
    from dlq.cli.asking import whoami  # noqa: PLC0415
    from dlq.cli.render import console, emit  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    config = queue_of(settings, run)
    with open_notebook(settings, config.name) as notebook:
        actions = undo_actions(settings, notebook, config, run, whoami())
    failed = [action for action in actions if action.state in (State.INTENDED, State.DONE)]
    if as_json:
        emit({"run_id": run, "actions": [action.summary for action in actions], "failed": len(failed)})
    else:
        for action in actions:
            console().print(action.summary)
        if not actions:
            console().print(f"run {run} changed nothing around {config.name}")
    sys.exit(1 if failed else 0)


COMMANDS = (diagnose, undo)
