"""Commands that drop messages into an archive, and put an archive back: discard, restore."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from dlq.cli.options import selector_options, work_options


@click.command()
@click.argument("queue")
@selector_options
@click.option("--corrupted", is_flag=True, help="Only messages that cannot be read.")
@work_options
def discard(queue: str, **given: Any) -> None:
    """Drop messages of QUEUE from its DLQ. They go into an archive first, which `dlq restore` puts back."""
    from dlq.brokers.opening import open_queue  # noqa: PLC0415
    from dlq.cli.asking import request_of  # noqa: PLC0415
    from dlq.cli.guard import pass_gate, show_plan  # noqa: PLC0415
    from dlq.cli.render import console, emit, result_json, show_result  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine.discard import discard as drop  # noqa: PLC0415
    from dlq.engine.discard import refuse_everything  # noqa: PLC0415
    from dlq.engine.run import new_run_id  # noqa: PLC0415
    from dlq.engine.verify import verify  # noqa: PLC0415
    from dlq.messages.reading import Reading  # noqa: PLC0415

    settings = load_settings()
    with open_queue(settings, queue) as (broker, config):
        request = request_of("discard", {**given, "mode": "none"}, config)
        refuse_everything(request)
        if given["dry_run"]:
            show_plan(settings, broker, config, request, as_json=given["as_json"])
            return
        run_id = new_run_id(config.name)
        facts = pass_gate(settings, broker, config, request, run_id, given)
        written, record = drop(broker, config, request, run_id, settings.archives_place)
        outcome = verify(broker, run_id, Reading.of(config))
        broker.annotate(run_id, facts | {"archive": written.address, "conservation": outcome.conservation})
        texts = broker.signatures(run_id)
    if given["as_json"]:
        emit(result_json(record, outcome) | {"archive": written.address, "archived": written.messages})
    else:
        show_result(record, outcome, texts)
        console().print(f"{written.messages:,} messages are in {written.address}; `dlq restore` puts them back")
    if outcome.unexplained:
        sys.exit(1)


@click.command()
@click.argument("archive")
@click.option("--reason", default="", metavar="TEXT", help="Why: it stays in the ledger.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def restore(archive: str, reason: str, *, yes: bool, as_json: bool) -> None:
    """Put the messages of ARCHIVE back into their DLQ. Each goes back once, however often it is said."""
    from dlq.brokers.opening import open_queue  # noqa: PLC0415
    from dlq.cli.asking import agree, whoami  # noqa: PLC0415
    from dlq.cli.render import console, emit  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine.archive import origin_of  # noqa: PLC0415
    from dlq.engine.restore import restore as put_back  # noqa: PLC0415

    origin = origin_of(archive)
    if not yes:
        agree(f"Put the messages that run {origin.run_id} dropped back into the DLQ of {origin.queue}?")
    with open_queue(load_settings(), origin.queue) as (broker, config):
        found = put_back(broker, config, archive, whoami(), reason)
    if as_json:
        emit(asdict(found))
        return
    out = console()
    out.print(f"{found.restored:,} messages are back in the DLQ of {found.queue} (run {found.run_id})")
    if found.before:
        out.print(f"{found.before:,} had been put back before")
    if found.not_dropped:
        out.print(f"{found.not_dropped:,} of the archive were never dropped")


COMMANDS = (discard, restore)
