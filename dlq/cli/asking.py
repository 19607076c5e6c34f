"""Turn what was typed into a request, and ask before anything moves."""

from __future__ import annotations

import getpass
import socket
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from dlq.durations import parse_age
from dlq.engine.run import Kind, Request
from dlq.errors import BadArgumentError
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from dlq.pacing.pace import Mode, Pace

if TYPE_CHECKING:
    from dlq.config.queues import QueueConfig


def whoami() -> str:
    """Name the person at this terminal."""
    try:
        user = getpass.getuser().encode(errors="backslashreplace").decode()  # of a variable, which may be any bytes
        return f"{user}@{socket.gethostname()}"
    except (OSError, KeyError):
        return f"unknown@{socket.gethostname()}"


def request_of(kind: str, given: dict[str, Any], config: QueueConfig) -> Request:
    """Build a request from the options of a command."""
    pace = pace_of(given, config)
    now = datetime.now(UTC)
    ages = {name: parse_age(given[name], now) if given[name] else None for name in ("older_than", "newer_than")}
    return Request(
        Kind(kind),
        whoami(),
        given["reason"],
        Selector(
            types=given["types"],
            signatures=given["signatures"],
            error=given["error"],
            **ages,
            now=now,
            attempts_min=given["attempts_min"],
            where=given["where"],
            corrupted=bool(given.get("corrupted")),
        ),
        Edit(set=given.get("set_", ()), unset=given.get("unset", ()), increment=given.get("increment", ())),
        pace.as_parameters(),
        given["limit"],
    )


def pace_of(given: dict[str, Any], config: QueueConfig) -> Pace:
    """Read the pace; options that do not go with it are refused rather than ignored."""
    batch, pause, most = (given.get(name) for name in ("batch", "pause", "max_batches"))
    limits = {name: given.get(name) for name in ("rate", "ceiling", "bounce_limit", "on_trip")}
    if given["mode"] == Mode.ADAPTIVE:
        if batch is not None or pause is not None:
            raise BadArgumentError("--batch and --pause do not go with --pace adaptive: waves go by their outcome.")
        limits = {**limits, "bounce": limits.pop("bounce_limit"), "grace": given.get("grace") or None}
        return Pace.adaptive(max_batches=most or 0).bound(config, **limits)
    for name, said in limits.items():
        if said is not None:
            raise BadArgumentError(f"--{name.replace('_', '-')} goes with --pace adaptive only.")
    if given["mode"] == Mode.NONE:
        if pause:
            raise BadArgumentError("--pause does not go with --pace none.")
        unpaced = Pace.unpaced(most or 0)
        return unpaced if batch is None else Pace(Mode.NONE, batch, 0.0, most or 0)
    usual = Pace()
    return Pace(
        Mode.FIXED,
        usual.batch if batch is None else batch,
        usual.pause if pause is None else pause,
        usual.max_batches if most is None else most,
    )


def agree(question: str) -> None:
    """Ask, and stop unless the answer is yes."""
    if not sys.stdin.isatty():
        raise BadArgumentError("There is nobody to ask here: say --yes.")
    click.confirm(question, abort=True, err=True)
