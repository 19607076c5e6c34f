"""What a run asks people, as Slack shows it: the plan that waits for an answer, and the answer that stands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dlq.admission import approvals
from dlq.notices.incident import Incident, Question, State

if TYPE_CHECKING:
    from dlq.admission.approvals import Asked
    from dlq.records.notebook import Notebook

_SIGNATURES = 6


def with_question(notebook: Notebook, incident: Incident) -> Incident:
    """Give the incident with what its run asks now, or with the answer to it."""
    asked = approvals.asked(notebook, incident.run_id)
    if asked is None:
        return incident
    decision = approvals.decision(notebook, incident.run_id, asked.plan.hash)
    if decision is not None:
        return replace(incident, decision=f"The plan was {decision.words}", question=None)
    state = incident.state if incident.state.over else State.WAITING
    return replace(incident, state=state, decision="", question=Question(asked.plan.hash, question_text(asked)))


def question_text(asked: Asked) -> str:
    """Say what would be done, why that needs a person, and until when there is time to answer."""
    plan = asked.plan
    lines = [
        f"Plan {plan.hash}: {plan.kind} {plan.selected:,} of {plan.depth:,} messages, {plan.pacing}",
        f"It takes {plan.duration}" + ("" if plan.bounces is None else f"; {plan.bounces:,.0f} bounces are expected"),
        f"It needs a person: {', '.join(asked.reasons)}",
        f"Without an answer it is rejected at {asked.until:%Y-%m-%d %H:%M} UTC",
    ]
    ranked = sorted(plan.signatures, key=lambda signature: -signature.count)
    lines += [f"{signature.count:,} of {signature.text}" for signature in ranked[:_SIGNATURES]]
    if len(ranked) > _SIGNATURES:
        lines.append(f"and {len(ranked) - _SIGNATURES:,} more signatures")
    return "\n".join(lines)
