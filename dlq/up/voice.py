"""What `dlq up` says: lines for people, JSON lines for programs, or only trouble; never a reason to fail."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import click

_COLOURS: Final = {"ready": "green", "up": "green", "died": "yellow", "warning": "yellow", "failed": "red"}
_TROUBLE: Final = frozenset({"died", "warning", "failed"})


@dataclass(frozen=True, slots=True)
class Voice:
    """Says events: a word for programs, a text for people, and facts. Trouble goes to standard error as well."""

    as_json: bool = False
    quiet: bool = False

    def say(self, event: str, text: str, **facts: object) -> None:
        """Say one event. A terminal that has gone, or a closed pipe, is no trouble of ours."""
        with suppress(OSError, ValueError):
            if self.as_json:
                click.echo(json.dumps({"event": event, "text": text, **facts}))
            if event in _TROUBLE:
                click.secho(f"dlq up: {text}", fg=_COLOURS[event], err=True)
            elif not (self.as_json or self.quiet):
                click.secho(text, fg=_COLOURS.get(event))
            sys.stdout.flush()
