"""The options that say which messages, which edits and which pace: the same for every command that moves messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_SELECTOR = (
    click.option("--type", "types", multiple=True, metavar="TYPE", help="Only messages of this type (repeatable)."),
    click.option(
        "--signature",
        "signatures",
        multiple=True,
        metavar="KEY",
        help="Only this failure signature (repeatable).",
    ),
    click.option("--error", metavar="REGEX", help="Only messages whose error class or text matches."),
    click.option("--older-than", metavar="AGE", help="Only messages that failed longer ago, as 30m, 2h or 1d12h."),
    click.option("--newer-than", metavar="AGE", help="Only messages that failed more recently."),
    click.option("--attempts-min", type=click.IntRange(0), help="Only messages with at least this many attempts."),
    click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Only where a field has a value (repeatable)."),
    click.option("--limit", type=click.IntRange(1), help="Select at most this many messages."),
)
_EDIT = (
    click.option("--set", "set_", multiple=True, metavar="FIELD=VALUE", help="Set a field before redriving."),
    click.option("--unset", multiple=True, metavar="FIELD", help="Remove a field before redriving."),
    click.option("--increment", multiple=True, metavar="FIELD", help="Add 1 to a field before redriving."),
)
_PACE = (
    click.option(
        "--pace",
        "mode",
        type=click.Choice(["fixed", "none", "adaptive"]),
        default="fixed",
        show_default=True,
        help="fixed: --batch, --pause and --max-batches hold; none: as fast as the broker allows, to the end;"
        " adaptive: by what the workers make of it, to the end.",
    ),
    click.option("--batch", type=click.IntRange(1), help="Messages a wave. [default: 100]"),
    click.option("--pause", type=click.FloatRange(0), help="Seconds between waves. [default: 30]"),
    click.option("--max-batches", type=click.IntRange(0), help="Waves at the most; 0: no limit. [default: 10]"),
)
_LIMITS = (
    click.option("--rate", type=click.FloatRange(0, min_open=True), help="adaptive: messages a second at most."),
    click.option("--ceiling", type=click.IntRange(1), help="adaptive: make the live queue no longer than this."),
    click.option(
        "--bounce-limit",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        metavar="SHARE",
        help="adaptive: stop a signature when more than this share of it surely bounces.",
    ),
    click.option(
        "--on-trip",
        type=click.Choice(["stop", "withdraw"]),
        help="adaptive: when the whole drain is stopped, leave or take back what no worker has taken yet.",
    ),
)
_WORK = (
    click.option("--dry-run", is_flag=True, help="Only show what would be done."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--reason", default="", metavar="TEXT", help="Why: it stays in the ledger."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line."),
)
_GUARD = (
    click.option("--override", metavar="TEXT", help="Drain although the pre-flight refuses; why stays in the ledger."),
    click.option("--fixed", metavar="TEXT", help="What was mended since the newest failure."),
)
_SETTLE = (
    click.option(
        "--settle",
        default=60.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Wait this long for the workers.",
    ),
    click.option(
        "--grace",
        type=click.FloatRange(0),
        help="Then wait this long for bounces. [default: 2; with --pace adaptive the queue's grace_seconds]",
    ),
)


def _all(options: tuple[Callable[[F], F], ...]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


selector_options = _all(_SELECTOR)
edit_options = _all(_EDIT)
pace_options = _all((*_PACE, *_LIMITS))
work_options = _all(_WORK)
guard_options = _all(_GUARD)
settle_options = _all(_SETTLE)
