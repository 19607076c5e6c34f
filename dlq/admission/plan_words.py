"""A plan and a pre-flight in words: for artifacts, forms and notices."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from dlq.engine.run import Kind

if TYPE_CHECKING:
    from datetime import tzinfo

    from dlq.admission.approvals import Asked
    from dlq.admission.plan import Plan
    from dlq.admission.preflight import Preflight

_SHOWN: Final = 20  # signatures in a table: more are counted


def verdict(found: Preflight, override: str = "") -> str:
    """Say in one line how a pre-flight ended."""
    if found.go:
        return f"Pre-flight of {found.queue}: go" + (f"; {'; '.join(found.warnings)}" if found.warnings else "")
    refused = f"Pre-flight of {found.queue}: refused: {'; '.join(found.refusals)}"
    return f"{refused}; overridden: {override}" if override else refused


def summary(plan: Plan) -> str:
    """Say in one line what a plan is."""
    what = f"{plan.kind.capitalize()} {plan.selected:,} of {plan.depth:,} messages of {plan.queue}"
    if plan.kind != Kind.DRAIN:
        return what
    bounces = "" if plan.bounces is None else f", about {plan.bounces:,.0f} expected to bounce"
    return f"{what}: {plan.pacing}, duration {plan.duration}{bounces}"


def markdown(plan: Plan) -> str:
    """Tell a plan in markdown."""
    return f"# Plan for {plan.queue}\n\n**{summary(plan)}**\n\n{details(plan)}"


def details(plan: Plan) -> str:
    """Tell what a plan is made of, in markdown."""
    waves = "unknown" if plan.waves is None else f"{plan.waves:,}"
    rate = "unknown" if plan.rate is None else f"{plan.rate:,.1f} messages a second"
    lines = [
        f"- waves: {waves}, {plan.pacing}",
        f"- consumers: {rate} ({_plain(plan.rate_from)})",
        f"- plan hash: `{plan.hash}`",
        "",
        "| type | messages |",
        "| --- | ---: |",
        *(f"| {_plain(kind)} | {count:,} |" for kind, count in plan.types.items()),
        "",
        "| signature | messages | bounced before |",
        "| --- | ---: | ---: |",
        *(
            f"| {_plain(found.text)} | {found.count:,} |"
            f" {'-' if found.bounce_rate is None else format(found.bounce_rate, '.0%')} |"
            for found in plan.signatures[:_SHOWN]
        ),
    ]
    if len(plan.signatures) > _SHOWN:
        lines += ["", f"and {len(plan.signatures) - _SHOWN:,} further signatures"]
    return "\n".join(lines) + "\n"


def question(asked: Asked, zone: tzinfo, *, short: bool = False) -> str:
    """Put the question to a person, in markdown; `short` leaves the details out."""
    until = asked.until.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
    text = (
        f"{summary(asked.plan)}. A person has to agree because {', '.join(asked.reasons)}. Without an answer until"
        f" {until} it is rejected."
    )
    return text if short else f"{text}\n\n{details(asked.plan)}"


def _plain(text: str) -> str:
    return html.escape(text.replace("\n", " "), quote=False).replace("|", "\\|")
