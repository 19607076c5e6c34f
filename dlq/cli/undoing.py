"""Commands that take things back: rollback."""

from __future__ import annotations

from dataclasses import asdict

import click


@click.command()
@click.argument("run")
@click.option("--reason", default="", metavar="TEXT", help="Why: it stays in the ledger.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def rollback(run: str, reason: str, *, yes: bool, as_json: bool) -> None:
    """Take RUN back. What it put into live queue or quarantine and nobody has taken yet returns to the DLQ."""
    from dlq.brokers.opening import open_run  # noqa: PLC0415
    from dlq.cli.asking import agree, whoami  # noqa: PLC0415
    from dlq.cli.render import console, emit, result_json  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine.rollback import roll_back  # noqa: PLC0415
    from dlq.engine.run import find_run  # noqa: PLC0415
    from dlq.engine.verify import verify  # noqa: PLC0415
    from dlq.messages.reading import Reading  # noqa: PLC0415
    from dlq.records.ledger import doubt  # noqa: PLC0415

    with open_run(load_settings(), run) as (broker, config, record):
        if not yes:
            agree(f"Take back run {run} ({record.selected:,} messages of {config.name})?")
        undone = roll_back(broker, config, run, whoami(), reason)
        outcome = verify(broker, run, Reading.of(config))
        after = find_run(broker, run)
    if as_json:
        emit({**result_json(after, outcome), "rollback": asdict(undone)})
        return
    out = console()
    out.print(f"run {run}: {undone.withdrawn:,} messages are back in the DLQ (rollback {undone.run_id})")
    if undone.out_of_reach:
        out.print(f"{undone.out_of_reach:,} could not be undone: workers, or somebody else, had taken them already")
    if undone.again:
        out.print(f"{undone.again:,} were redriven once more by a later run: roll that run back first")
    if said := doubt(undone.maybe_duplicated):
        out.print(f"note: {said}.")
    out.print(outcome.conservation)


COMMANDS = (rollback,)
