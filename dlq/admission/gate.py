"""Everything between a request and its first move: pre-flight, plan, and whether a person has to agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import xxhash

from dlq.admission import approvals
from dlq.admission.approvals import Answer, Decision
from dlq.admission.consumption import consumption
from dlq.admission.past import bounce_rates
from dlq.admission.plan import Plan, make_plan
from dlq.admission.preflight import Ask, Preflight, preflight
from dlq.brokers.base import Place
from dlq.config import policy
from dlq.engine.preview import Preview, preview
from dlq.engine.run import Kind
from dlq.errors import RefusedError
from dlq.pacing.pace import Mode, Pace
from dlq.records.timeline import tell_once
from dlq.summaries import samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig, Settings
    from dlq.engine.run import Request
    from dlq.records.notebook import Notebook


@dataclass(frozen=True, slots=True)
class Gate:
    """The way to a queue that is being looked at for one request."""

    settings: Settings
    queue: DeadLetterQueue
    config: QueueConfig
    notebook: Notebook

    def preflight(
        self, request: Request, sleep: Callable[[float], None], *, attended: bool, fixed: str = ""
    ) -> Preflight:
        """Look whether the request may go on; what goes to no consumer is asked nothing but memory."""
        keeps = bool(request.edit) or request.kind is not Kind.DRAIN
        ask = Ask(
            request.limit,
            keeps,
            drains=request.kind is Kind.DRAIN,
            watched=watched(request, attended=attended),
            fixed=fixed,
        )
        return preflight(self.settings, self.queue, self.config, ask, sleep)

    def plan(self, request: Request) -> Plan:
        """Read the DLQ once and say what would be done."""
        return self.foresee(request)[1]

    def foresee(self, request: Request) -> tuple[Preview, Plan]:
        """Read the DLQ once; give the dry run and the plan that follows from it."""
        pace = consumption(self.settings, self.notebook, self.config.name)
        seen = preview(self.queue, self.config, request)
        past = bounce_rates(self.notebook)
        return seen, make_plan(seen, request, rate=pace.per_second, rate_from=pace.source, history=past)

    def level(self, alert_level: int | None = None) -> int | None:
        """Give the level of escalation of the queue now, or of its alert if that is higher; None for none."""
        growth = samples.growth_per_minute(samples.recent(self.notebook))
        found = policy.level(self.config, self.queue.depth(Place.DLQ), growth_per_minute=growth)
        levels = [number for number in (found and found.number, alert_level) if number]
        return max(levels, default=None)

    def reasons(self, plan: Plan, alert_level: int | None = None) -> tuple[str, ...]:
        """Say why a plan needs a person; empty: it may run unattended."""
        return approvals.reasons(self.settings.policy_of(self.config.name), plan, self.level(alert_level))


def watched(request: Request, *, attended: bool) -> bool:
    """Say whether the pre-flight is strict: the drain looks at its consumers, or nobody is there who would."""
    return not attended or Pace.from_parameters(request.pace).mode not in {Mode.FIXED, Mode.NONE}


def admit(notebook: Notebook, run_id: str, found: Preflight, override: str, who: str) -> dict[str, str]:
    """Put a pre-flight into the timeline; give what the ledger is to keep. What it refuses raises RefusedError."""
    refusals = "; ".join(found.refusals)
    if refusals and not override:
        mark = f"refused:{xxhash.xxh3_64_hexdigest(refusals.encode())}"
        tell_once(notebook, run_id, mark, "preflight", f"refused: {refusals}", who=who)
        raise RefusedError(f"queue {found.queue}: pre-flight refused: {refusals}.")
    if refusals:
        text = f"refused, and overridden because {override}: {refusals}"
        tell_once(notebook, run_id, "override", "override", text, who=who)
        return {"override": override, "overridden": refusals}
    text = "; ".join(f"{check.name.replace('_', ' ')} {check.result}" for check in found.checks)
    tell_once(notebook, run_id, "preflight", "preflight", text or "nothing to be checked", who=who)
    return {}


def agreed(notebook: Notebook, run_id: str, plan: Plan, why: tuple[str, ...], who: str, reason: str) -> dict[str, str]:
    """Take a person's start of a run as the approval of its plan; give what the ledger is to keep of it."""
    answer = Decision(answer=Answer.APPROVE, who=who, why=reason, by="hand", at=datetime.now(UTC))
    return facts(approvals.approve_at_once(notebook, run_id, plan, why, answer), plan)


def facts(decision: Decision, plan: Plan) -> dict[str, str]:
    """Say in the ledger who approved which plan."""
    return {"approval": decision.words, "approved_plan": plan.hash}
