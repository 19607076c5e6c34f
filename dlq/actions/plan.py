"""Which immediate actions chapter 3 of the runbook asks for, and whether the drain is to be held. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlq.config.settings import QueueConfig
    from dlq.diagnosis.facts import Facts

LOW_SUCCESS = 0.5  # share of successes below which redriven messages would mostly fail again


class Kind(StrEnum):
    """Kinds of immediate actions."""

    SCALE = "scale"
    CONCURRENCY = "concurrency"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Planned:
    """An action that is called for: what, up to how much, and why."""

    kind: Kind
    target: str
    count: int
    why: str

    @property
    def summary(self) -> str:
        """Say it in one line."""
        what = {
            Kind.SCALE: f"scale {self.target} to {self.count}",
            Kind.CONCURRENCY: f"raise the concurrency of the workers to {self.count}",
            Kind.QUARANTINE: f"move {self.count:,} corrupted messages of {self.target} to the quarantine",
        }[self.kind]
        return f"{what}: {self.why}"


@dataclass(frozen=True, slots=True)
class ActionPlan:
    """The actions in their order; `hold` says why the drain had better wait, empty: nothing speaks against it."""

    queue: str
    actions: tuple[Planned, ...]
    hold: tuple[str, ...]
    notes: tuple[str, ...]


def plan_actions(config: QueueConfig, facts: Facts) -> ActionPlan:
    """Decide by what is known. What is unknown calls for nothing, and is noted."""
    notes: list[str] = []
    growth, source = growth_of(facts)
    actions: list[Planned] = []
    if growth is None:
        notes.append("how fast the DLQ grows is not known: neither metrics nor samples tell")
    elif growth > config.thresholds.growth_per_minute:
        why = (
            f"{growth:,.0f} messages a minute come into the DLQ ({source}), over {config.thresholds.growth_per_minute}"
        )
        actions += _more_workers(config, why, notes)
    corrupted = sum(facts.assessment.corrupted.values())
    if corrupted:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in facts.assessment.corrupted.items())
        actions.append(Planned(Kind.QUARANTINE, config.name, corrupted, f"they cannot be read ({reasons})"))
    return ActionPlan(config.name, tuple(actions), tuple(_failing(facts)), tuple(notes))


def growth_of(facts: Facts) -> tuple[float | None, str]:
    """Give the messages a minute that come into the DLQ, and who says so: Prometheus, else the broker's samples."""
    reading = dict(facts.readings).get("growth a minute")
    if reading is not None and reading.value is not None:
        return reading.value, reading.source
    own = facts.assessment.growth_per_minute
    return own, "the broker's samples" + (f"; Prometheus: {reading.note}" if reading is not None else "")


def _more_workers(config: QueueConfig, why: str, notes: list[str]) -> list[Planned]:
    found = []
    if config.workers and config.scale_to:
        found.append(Planned(Kind.SCALE, config.workers, config.scale_to, why))
    else:
        notes.append(f"{config.name} has no worker deployment to scale: set `workers` and `scale_to` in dlq.toml")
    found.append(Planned(Kind.CONCURRENCY, "workers", config.concurrency, why))
    return found


def _failing(facts: Facts) -> list[str]:
    """Say why processing fails, so that redriven messages would fail again."""
    found = []
    if facts.health is not None and facts.health.healthy is False:
        found.append(f"the workers are not healthy: {facts.health.note}")
    workers = facts.workers
    if workers is not None and workers.ready == 0:
        found.append(f"no worker is ready: {workers.summary}")
    success = dict(facts.readings).get("success rate")
    if success is not None and success.value is not None and success.value < LOW_SUCCESS:
        found.append(f"{success.value:.0%} of what the workers process goes well")
    return found
