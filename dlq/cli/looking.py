"""Commands that look and change nothing: status, peek, assess, runs, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dlq.records.ledger import RunRecord
    from dlq.summaries.status import Status

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")


@click.command()
@as_json
def status(*, as_json: bool) -> None:
    """Show depth, age and severity of every queue.

    A queue that cannot be looked at, such as one that is not there, is named; the others are shown all the same.
    """
    from dlq.brokers.opening import open_notebook, open_queue  # noqa: PLC0415
    from dlq.cli.render import emit  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.errors import AuthError, BrokerUnreachableError, ConfigError, DlqError  # noqa: PLC0415
    from dlq.summaries.samples import growth_per_minute, recent  # noqa: PLC0415
    from dlq.summaries.status import look  # noqa: PLC0415

    settings = load_settings()
    rows, failed = [], dict[str, str]()
    for name in settings.queues:
        try:
            with open_queue(settings, name) as (queue, config), open_notebook(settings, name) as notebook:
                rows.append(look(queue, config, growth_per_minute(recent(notebook))))
        except (AuthError, ConfigError, BrokerUnreachableError):  # it would be the same for each of them
            raise
        except DlqError as exc:
            failed[name] = str(exc)
    for name, why in failed.items():
        click.echo(f"{name}: {why}", err=True)
    if as_json:
        emit({"queues": [row.as_dict() for row in rows], "failed": failed})
    elif rows:
        _status_table(rows)
    if failed:
        raise click.exceptions.Exit(1)


def _status_table(rows: list[Status]) -> None:
    from dlq.cli.render import table  # noqa: PLC0415

    table(
        ["queue", "DLQ", "live", "quarantine", "arrive/min", "oldest failure", "severity", "who is called", "held by"],
        [
            [
                row.queue,
                row.depth,
                row.live,
                row.quarantine,
                "-" if row.growth_per_minute is None else f"{row.growth_per_minute:,.0f}",
                _oldest(row),
                row.severity,
                row.called or "-",
                row.held_by or "-",
            ]
            for row in rows
        ],
    )


def _oldest(row: Status) -> str:
    """Say when the oldest failure was; what does not say so is not passed over in silence."""
    from dlq.cli.render import moment  # noqa: PLC0415

    if row.oldest is None:
        return f"unknown: {row.undated:,} undated" if row.undated else "-"
    return moment(row.oldest) + (f", after {row.undated:,} undated" if row.undated else "")


@click.command()
@click.argument("queue")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many of the oldest.")
@click.option("--body", is_flag=True, help="Print the messages themselves too: they may hold personal data.")
@as_json
def peek(queue: str, count: int, *, body: bool, as_json: bool) -> None:
    """Show the oldest messages of QUEUE's DLQ, without taking them."""
    from dlq.brokers.base import Place  # noqa: PLC0415
    from dlq.brokers.opening import open_queue  # noqa: PLC0415
    from dlq.cli.render import emit, table  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.messages.reading import Reading  # noqa: PLC0415
    from dlq.summaries.status import describe  # noqa: PLC0415

    with open_queue(load_settings(), queue) as (broker, config):
        messages = broker.read(Place.DLQ, 0, count).result()
        reading = Reading.of(config)
    rows = [describe(message, reading, body=body) for message in messages]
    if as_json:
        emit({"queue": queue, "messages": rows})
        return
    table(
        ["id", "type", "signature", "attempts", "failed at", "bytes", *(["message"] if body else [])],
        [list(row.values()) for row in rows],
    )


@click.command()
@click.argument("queue")
@as_json
def assess(queue: str, *, as_json: bool) -> None:
    """Read all of QUEUE's DLQ: failures, ages, corruption."""
    from dlq.brokers.opening import open_notebook, open_queue  # noqa: PLC0415
    from dlq.cli.render import assessment_json, emit, show_assessment  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine.assess import assess as read_all  # noqa: PLC0415
    from dlq.summaries.samples import growth_per_minute, recent  # noqa: PLC0415

    settings = load_settings()
    with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
        found = read_all(broker, config, growth_per_minute=growth_per_minute(recent(notebook)))
    if as_json:
        emit(assessment_json(found))
    else:
        show_assessment(found)


@click.command()
@click.option("--queue", help="Only the runs of this queue.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many of each queue.")
@as_json
def runs(queue: str | None, limit: int, *, as_json: bool) -> None:
    """List the runs that the ledger knows, newest first."""
    from dlq.brokers.opening import open_queue  # noqa: PLC0415
    from dlq.cli.render import emit, moment, record_json, table  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    found: list[RunRecord] = []
    for name in [queue] if queue else settings.queues:
        with open_queue(settings, name) as (broker, _):
            found += broker.runs(limit)
    found.sort(key=lambda record: record.started_at.timestamp() if record.started_at else 0.0, reverse=True)
    if as_json:
        emit({"runs": [record_json(record) for record in found]})
        return
    table(
        ["run", "kind", "state", "who", "started", "selected", "kept", "rolled back", "reason"],
        [
            [
                r.run_id,
                r.kind,
                r.state,
                r.who,
                moment(r.started_at),
                r.selected,
                r.kept,
                r.rolled_back,
                r.reason,
            ]
            for r in found
        ],
    )


@click.command()
@click.argument("run")
@as_json
def show(run: str, *, as_json: bool) -> None:
    """Show what RUN did, and where its messages are now."""
    from dlq.brokers.opening import open_run  # noqa: PLC0415
    from dlq.cli.render import emit, record_json, result_json, show_result  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.engine.verify import verify  # noqa: PLC0415
    from dlq.messages.reading import Reading  # noqa: PLC0415

    with open_run(load_settings(), run) as (broker, config, record):
        outcome = verify(broker, run, Reading.of(config))
        texts = broker.signatures(run)
    if as_json:
        emit({**record_json(record), **result_json(record, outcome)})
    else:
        show_result(record, outcome, texts)


COMMANDS = (status, peek, assess, runs, show)
