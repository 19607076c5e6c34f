"""What a run would do, how long it would take and what would come back: looked at before anything moves."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from dlq.durations import format_duration
from dlq.engine.preview import Preview
from dlq.engine.run import Request
from dlq.pacing.pace import Limits, Mode, Pace

_FROZEN = ConfigDict(frozen=True)


class PlannedSignature(BaseModel):
    """The messages of one signature in a plan; `bounce_rate`, of 1, is from earlier runs, None when there were none."""

    model_config = _FROZEN

    key: str
    text: str
    count: int
    bounce_rate: float | None = None


class Plan(BaseModel):
    """What a run would do. Counts are messages; None is unknown."""

    model_config = _FROZEN

    queue: str
    kind: str
    made_at: AwareDatetime
    depth: int
    selected: int
    refused: int
    types: dict[str, int]
    signatures: tuple[PlannedSignature, ...]
    parameters: dict[str, Any]
    pacing: str
    waves: int | None
    seconds: float | None
    """How long it takes, by the pace and by what the consumers take, whichever is slower."""
    rate: float | None
    """Messages a second that the consumers take."""
    rate_from: str

    @property
    def hash(self) -> str:
        """Digest depth, type mix and parameters: two plans with one hash are about the same state and request."""
        said = [self.queue, self.kind, self.depth, self.selected, sorted(self.types.items()), _asked(self.parameters)]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @property
    def bounces(self) -> float | None:
        """Expect this many bounces of the messages whose signature has a history; None when none has."""
        known = [found for found in self.signatures if found.bounce_rate is not None]
        return sum(found.count * (found.bounce_rate or 0.0) for found in known) if known else None

    @property
    def duration(self) -> str:
        """Say how long it takes."""
        return "unknown" if self.seconds is None else format_duration(timedelta(seconds=self.seconds))

    def as_dict(self) -> dict[str, Any]:
        """Render for JSON."""
        return {
            **self.model_dump(mode="json", exclude={"parameters"}),
            "hash": self.hash,
            "expected_bounces": None if self.bounces is None else round(self.bounces),
            "duration": self.duration,
        }


def make_plan(
    seen: Preview,
    request: Request,
    *,
    rate: float | None = None,
    rate_from: str = "not measured",
    history: Mapping[str, float] | None = None,
) -> Plan:
    """Put a plan together from a dry run, the consumers' rate (messages a second) and bounce rates by signature key."""
    history = history or {}
    pace = Pace.from_parameters(request.pace)
    waves, paced, pacing = _paced(pace, seen.selected)
    slow = seen.selected / rate if rate else None
    return Plan(
        queue=seen.queue,
        kind=request.kind.value,
        made_at=datetime.now(UTC),
        depth=seen.depth,
        selected=seen.selected,
        refused=seen.refused,
        types=dict(seen.types.most_common()),
        signatures=tuple(
            PlannedSignature(key=key, text=text, count=count, bounce_rate=history.get(key))
            for (key, text), count in seen.signatures.most_common()
        ),
        parameters=json.loads(request.parameters()),
        pacing=pacing,
        waves=waves,
        seconds=None if slow is None and paced is None else max(slow or 0.0, paced or 0.0),
        rate=rate,
        rate_from=rate_from,
    )


def changed(old: Plan, new: Plan, limit: float) -> str:
    """Say why a plan is void, empty when it still holds: `limit` is the part, of 1, that may differ."""
    if _asked(old.parameters) != _asked(new.parameters):
        return "the parameters are not the same"
    grown = abs(new.selected - old.selected) / max(1, old.selected)
    if grown > limit:
        return f"{new.selected:,} messages would be moved now, {old.selected:,} when it was planned"
    moved = _distance(old, new)
    if moved > limit:
        return f"{moved:.0%} of the messages are of other types or signatures than when it was planned"
    return ""


def _distance(old: Plan, new: Plan) -> float:
    """Give the part of the messages that is in other signatures now, 0 to 1 (total variation)."""
    before, after = (
        {found.key: found.count / max(1, plan.selected) for found in plan.signatures} for plan in (old, new)
    )
    return sum(abs(before.get(key, 0.0) - after.get(key, 0.0)) for key in before.keys() | after.keys()) / 2


def _asked(parameters: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs each time that the same thing is asked for: the moment that ages count from."""
    selector = {name: said for name, said in (parameters.get("selector") or {}).items() if name != "now"}
    return {**parameters, "selector": selector}


def _paced(pace: Pace, selected: int) -> tuple[int | None, float | None, str]:
    """Give the number of waves, the seconds that the pace alone takes, and the pace in words."""
    if pace.mode is Mode.ADAPTIVE:
        return _by_outcome(pace.limits or Limits(), selected)
    waves = -(-selected // pace.batch)
    if pace.max_batches:
        waves = min(waves, pace.max_batches)
    seconds = max(0, waves - 1) * pace.pause
    return waves, seconds, pace.describe()


def _by_outcome(limits: Limits, selected: int) -> tuple[int, float | None, str]:
    """Double from the canary on, as an adaptive drain does while all goes well; each round takes a grace time."""
    canary = limits.canary(selected)
    sent, wave, waves = 0, canary, 0
    while sent < selected:
        sent += wave
        waves += 1
        wave = min(2 * wave, limits.ceiling)
    capped = selected / limits.rate if limits.rate else 0.0
    words = f"a canary of {min(canary, selected):,}, doubling by the outcome, at most {limits.ceiling:,} live"
    return waves, max(waves * limits.grace, capped), words
