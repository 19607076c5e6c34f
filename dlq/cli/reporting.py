"""The command that makes the regular reports, for those who schedule them without Prefect."""

from __future__ import annotations

import click

from dlq.cli.looking import as_json


@click.command()
@click.argument("which", type=click.Choice(["nightly", "weekly"]))
@click.option("--queue", help="Only this queue.")
@as_json
def report(which: str, queue: str | None, *, as_json: bool) -> None:
    """Report the last day, or the last week, of every queue. Nothing is moved; a day is kept for comparisons."""
    from dlq.brokers.opening import open_notebook, open_queue  # noqa: PLC0415
    from dlq.cli.render import emit  # noqa: PLC0415
    from dlq.config.settings import load_settings  # noqa: PLC0415
    from dlq.reports import nightly, nightly_words, weekly, weekly_words  # noqa: PLC0415
    from dlq.systems.metrics import Metrics  # noqa: PLC0415

    settings = load_settings()
    metrics = Metrics.of(settings)
    nights: list[nightly.Night] = []
    weeks: list[weekly.Week] = []
    for name in [queue] if queue else settings.queues:
        with open_queue(settings, name) as (broker, config), open_notebook(settings, name) as notebook:
            if which == "nightly":
                nights.append(nightly.look(broker, config, notebook, metrics, settings.zone))
            else:
                weeks.append(weekly.review(broker, config, notebook, metrics, settings.zone))
    metrics.close()
    if as_json:
        emit({"queues": nightly_words.summary(nights) + weekly_words.summary(weeks)})
    elif which == "nightly":
        click.echo(f"{nightly_words.title(nights, settings.zone)}\n\n{nightly_words.text(nights)}")
    else:
        click.echo(f"{weekly_words.title(weeks, settings.zone)}\n\n{weekly_words.text(weeks)}")


COMMANDS = (report,)
