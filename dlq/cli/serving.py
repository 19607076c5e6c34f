"""Commands that run whole systems: up, demo."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each event.")
@click.option("--quiet", "-q", is_flag=True, help="Print trouble only.")
def up(*, as_json: bool, quiet: bool) -> None:
    """Run everything on this machine, until Ctrl-C.

    That is the Prefect server and its UI, the flows, the receiver of alerts, and Redis.

    State and logs lie in DLQ_HOME (.dlq). Redis is an own one, with its data there, unless DLQ_REDIS_URL or
    dlq.toml names another. Ports: DLQ_UI_PORT, DLQ_RECEIVER_PORT, DLQ_REDIS_PORT. Ctrl-C or SIGTERM stops all.
    """
    from dlq.up.command import main  # noqa: PLC0415 - the help must not wait for it
    from dlq.up.voice import Voice  # noqa: PLC0415

    sys.exit(main(Voice(as_json=as_json, quiet=quiet)))


@click.command()
@click.option("--messages", default=60_000, show_default=True, type=click.IntRange(1_000), help="How many to make up.")
@click.option("--seed", default=7, show_default=True, help="The same seed makes the same messages.")
@click.option(
    "--broker",
    default="redis",
    show_default=True,
    type=click.Choice(["redis", "redis-cluster", "rabbitmq"]),
    help="What the queues lie in; rabbitmq has to be installed.",
)
@click.option("--keep", is_flag=True, help="Leave everything up at the end, until Ctrl-C.")
def demo(messages: int, seed: int, broker: str, *, keep: bool) -> None:
    """Make up an incident, run it, and compare with the truth.

    It has servers of its own.

    A real Prometheus and Alertmanager fire the alerts, where they are installed.
    """
    from dlq.demo.run import main  # noqa: PLC0415

    sys.exit(main(messages=messages, seed=seed, broker=broker, keep=keep))


COMMANDS = (up, demo)
