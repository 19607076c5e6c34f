"""The `dlq` command. It drives the domain itself: no Prefect server is needed."""

from __future__ import annotations

import sys

import click

from dlq.cli.diagnosing import COMMANDS as DIAGNOSING
from dlq.cli.discarding import COMMANDS as DISCARDING
from dlq.cli.guarding import COMMANDS as GUARDING
from dlq.cli.looking import COMMANDS as LOOKING
from dlq.cli.reporting import COMMANDS as REPORTING
from dlq.cli.serving import COMMANDS as SERVING
from dlq.cli.undoing import COMMANDS as UNDOING
from dlq.cli.working import COMMANDS as WORKING

_EXIT = "Exit status: 0 done, 1 failed, 2 bad arguments, 3 refused, 4 stopped by the breaker."


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT)
@click.version_option(package_name="dlq-drain")
def cli() -> None:
    """Look at dead letter queues, drain them, and take back what was done."""


for command in (*LOOKING, *REPORTING, *DIAGNOSING, *GUARDING, *WORKING, *DISCARDING, *UNDOING, *SERVING):
    cli.add_command(command)


def main() -> None:
    """Run the command line; our own errors become one line on stderr and their exit status."""
    try:
        _refuse_what_is_not_text(sys.argv[1:])
        status = cli.main(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        status = exc.exit_code
    except click.Abort:
        click.echo("Stopped. Nothing is half done; `dlq runs` shows what can be resumed.", err=True)
        status = 1
    except Exception as exc:
        from dlq.errors import DlqError  # noqa: PLC0415 - the help must not wait for it

        if not isinstance(exc, DlqError):
            raise
        click.echo(f"dlq: {exc}", err=True)
        status = exc.exit_status
    sys.exit(status if isinstance(status, int) else 0)


def _refuse_what_is_not_text(arguments: list[str]) -> None:
    """Refuse an argument whose bytes are not UTF-8: it could not be kept in the ledger, nor looked up there."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            which = f"the value of {before}" if before.startswith("-") else "an argument"
            shown = argument.encode(errors="backslashreplace").decode()
            raise click.UsageError(f"{which} is not UTF-8 text: {shown}")
