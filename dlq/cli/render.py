"""How the command prints: tables for people, one JSON object on the last line for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from dlq.engine.assess import Assessment
    from dlq.engine.verify import Outcome
    from dlq.records.ledger import RunRecord


_WHOLE = {"run", "signature", "queue", "id", "DLQ", "live", "messages", "selected", "first", "last", "started"}
_PIPED = 160  # columns: what goes into a pipe or a log is not squeezed into 80


def emit(facts: dict[str, Any]) -> None:
    """Print one JSON object on a line."""
    click.echo(json.dumps(facts, default=str))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table; numbers to the right. One without rows is the word "none"."""
    drawn = Table(box=SIMPLE, title=title, title_justify="left")
    for head in heads:
        # Names must stay whole, so that they can be copied into the next command.
        drawn.add_column(head, no_wrap=head in _WHOLE)
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    console().print(drawn if drawn.row_count else "none")


def console() -> Console:
    """Make a console for standard output; markup is off, since messages may hold brackets."""
    drawn = Console(markup=False, highlight=False)
    return drawn if drawn.is_terminal else Console(markup=False, highlight=False, width=max(_PIPED, drawn.width))


def moment(when: datetime | None) -> str:
    """Render a time to the second, in UTC."""
    return f"{when:%Y-%m-%d %H:%M:%S}Z" if when else "-"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)


def record_json(record: RunRecord) -> dict[str, Any]:
    """Render a run as the ledger has it."""
    names = (
        "run_id",
        "queue",
        "kind",
        "state",
        "who",
        "reason",
        "started_at",
        "ended_at",
        "frozen",
        "scanned",
        "kept",
    )
    return {
        **{name: getattr(record, name) for name in names},
        "selected": record.selected,
        "redriven": record.redriven,
        "edited": record.edited,
        "rolled_back": record.rolled_back,
        "parameters": record.parameters,
    }


def result_json(record: RunRecord, outcome: Outcome) -> dict[str, Any]:
    """Render the result of a run: its counts and what became of its messages."""
    from dlq.engine.bounces import stopped  # noqa: PLC0415 - the help must not wait for it

    names = (
        "selected",
        "delivered",
        "bounced",
        "pending",
        "quarantined",
        "dropped",
        "rolled_back",
        "unexplained",
    )
    return {
        "run_id": record.run_id,
        "queue": record.queue,
        "state": record.state,
        "redriven": record.redriven,
        "edited": record.edited,
        "kept": record.kept,
        "scanned": record.scanned,
        **{name: getattr(outcome, name) for name in names},
        "arrived": outcome.arrived,
        "maybe_duplicated": record.maybe_duplicated,
        "verdict": outcome.verdict,
        "breaker": outcome.breaker or None,
        "stopped": [asdict(seen) for seen in stopped(record)],
    }


def show_result(record: RunRecord, outcome: Outcome, texts: dict[int, str]) -> None:
    """Print what a run did and where its messages are."""
    from dlq.engine.bounces import stopped  # noqa: PLC0415 - the help must not wait for it
    from dlq.messages.signatures import Signature  # noqa: PLC0415
    from dlq.records.ledger import doubt, unpack_signatures  # noqa: PLC0415

    out = console()
    out.print(f"run {record.run_id}: {record.kind} of {record.queue} by {record.who or 'unknown'}, {record.state}")
    if record.reason:
        out.print(f"reason: {record.reason}")
    names = {code: Signature(*parts) for code, parts in unpack_signatures(texts).items()}
    if outcome.signatures:
        table(
            ["signature", "failure", "delivered", "bounced", "pending", "verdict"],
            [
                [
                    names[seen.code].key if seen.code in names else "-",
                    str(names.get(seen.code, "others")),
                    seen.delivered,
                    seen.bounced,
                    seen.pending,
                    seen.verdict,
                ]
                for seen in outcome.signatures
            ],
        )
    for halted in stopped(record):
        out.print(f"signature {halted.key} was stopped: {halted.why}")
    if outcome.breaker:
        out.print(f"the drain was stopped: {outcome.breaker}")
    out.print(outcome.conservation)
    if said := doubt(record.maybe_duplicated):
        out.print(f"note: {said}.")
    if not outcome.exact:
        out.print(
            "note: a later run, or somebody else, took messages out of the DLQ; bounces were looked for in all of it."
        )


def assessment_json(found: Assessment) -> dict[str, Any]:
    """Render an assessment."""
    facts = asdict(found)
    facts["severity"] = found.severity.value
    facts["level"] = found.level.number if found.level else None
    facts["called"] = found.level.who if found.level else None
    facts["signatures"] = [
        {
            "key": seen.signature.key,
            "signature": str(seen.signature),
            "type": seen.signature.type,
            "count": seen.count,
            "first_seen": seen.first_seen,
            "last_seen": seen.last_seen,
            "attempts_max": seen.attempts_max,
            "samples": list(seen.samples),
        }
        for seen in found.signatures
    ]
    return facts


def show_assessment(found: Assessment) -> None:
    """Print an assessment."""
    out = console()
    called = f"{found.level.who} (level {found.level.number})" if found.level else "nobody"
    out.print(
        f"{found.queue}: {found.depth:,} in the DLQ, {found.live_depth:,} live,"
        f" {found.quarantine_depth:,} in quarantine; severity {found.severity.value}, call {called}"
    )
    growth = found.growth_per_minute
    growing = "" if growth is None else f"; {growth:,.0f} arrive a minute"
    out.print(f"failures from {moment(found.oldest)} to {moment(found.newest)}{growing}")
    table(
        ["signature", "failure", "messages", "share", "first", "last", "attempts"],
        [
            [
                seen.signature.key,
                str(seen.signature),
                seen.count,
                f"{seen.count / max(1, found.read):.1%}",
                moment(seen.first_seen)[5:16],
                moment(seen.last_seen)[5:16],
                seen.attempts_max,
            ]
            for seen in found.signatures
        ],
    )
    if found.corrupted:
        out.print("corrupted: " + ", ".join(f"{count:,} {why}" for why, count in found.corrupted.items()))
