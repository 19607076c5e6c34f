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
_DOES: Final[dict[str, str]] = {
    Kind.DRAIN: "they go back to the live queue",
    Kind.DISCARD: "they are dropped, once an archive has them",
}


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
    lines = [
        *(_course(plan) if plan.kind == Kind.DRAIN else ()),
        f"- plan hash: `{plan.hash}`",
        "",
        "| messages | type |",
        "| ---: | --- |",
        *(f"| {count:,} | {_plain(kind)} |" for kind, count in plan.types.items()),
        "",
        "| messages | bounced before | signature |",
        "| ---: | ---: | --- |",
        *(
            f"| {found.count:,} | {'-' if found.bounce_rate is None else format(found.bounce_rate, '.0%')} |"
            f" {_plain(found.text)} |"
            for found in plan.signatures[:_SHOWN]
        ),
    ]
    if len(plan.signatures) > _SHOWN:
        lines += ["", f"and {len(plan.signatures) - _SHOWN:,} further signatures"]
    return "\n".join(lines) + "\n"


def question(asked: Asked, zone: tzinfo) -> str:
    """Put the question to a person in two sentences, for a notice."""
    return (
        f"{summary(asked.plan)}. A person has to agree because {', '.join(asked.reasons)}. Without an answer until"
        f" {_until(asked, zone)} it is rejected."
    )


def form(asked: Asked, zone: tzinfo, *, request: str = "", trouble: str = "") -> str:
    """Put the question to a person who has a form to fill in, in markdown: what each answer does, and the plan.

    `request` is who asked for the run and why; `trouble` is what became of an earlier answer.
    """
    plan = asked.plan
    does = _DOES.get(plan.kind, "the run goes on")
    lines = [
        *([f"**{_sentence(_plain(trouble))}** Nothing was moved.", ""] if trouble else []),
        (
            f"**{plan.kind.capitalize()} {plan.selected:,} of {plan.depth:,} messages of {plan.queue}?**"
            f" A person has to agree because {', '.join(asked.reasons)}."
        ),
        "",
        *([f"- asked for by {_plain(request)}"] if request else []),
        f"- approve: {does}; with a limit, the oldest so many of them",
        "- reject: nothing is moved, and the run ends",
        f"- no answer until {_until(asked, zone)}: it is rejected",
        "- the queue changes very much meanwhile: the answer counts for nothing, and you are asked again",
    ]
    return "\n".join(lines) + f"\n\n**The plan**\n\n{details(plan)}"


def _course(plan: Plan) -> list[str]:
    """Tell how a drain would go."""
    waves = "unknown" if plan.waves is None else f"{plan.waves:,}"
    rate = "unknown" if plan.rate is None else f"{plan.rate:,.1f} messages a second"
    bounces = "unknown, no earlier run" if plan.bounces is None else f"about {plan.bounces:,.0f}"
    return [
        f"- waves: {waves} ({plan.pacing})",
        f"- expected duration: {plan.duration}",
        f"- expected bounces: {bounces}",
        f"- rate of the consumers: {rate} ({_plain(plan.rate_from)})",
    ]


def _until(asked: Asked, zone: tzinfo) -> str:
    return asked.until.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _plain(text: str) -> str:
    return html.escape(text.replace("\n", " "), quote=False).replace("|", "\\|")
