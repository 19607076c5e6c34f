"""What may happen by itself and what needs a person: the `[policy]` table of dlq.toml, and its parts for one queue."""

from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from dlq.durations import format_duration, parse_duration
from dlq.errors import BadArgumentError


class CheckName(StrEnum):
    """The checks of the pre-flight, in the order in which they are told."""

    CONSUMERS = "consumers"
    HEALTH = "health"
    LIVE_QUEUE = "live_queue"
    SUCCESS_RATE = "success_rate"
    FIX = "fix"
    MEMORY = "memory"


class Rule(StrEnum):
    """What a check may do: nothing, warn, refuse when it fails, or refuse also when nobody knows."""

    OFF = "off"
    WARN = "warn"
    REFUSE = "refuse"
    STRICT = "strict"


def _duration(said: object) -> object:
    if not isinstance(said, str):
        return said
    try:
        return parse_duration(said)
    except BadArgumentError as exc:
        raise ValueError(str(exc)) from exc


Duration = Annotated[
    timedelta, BeforeValidator(_duration), PlainSerializer(format_duration), Field(ge=timedelta(0), strict=False)
]


class QuietHours(BaseModel):
    """A part of each day, in DLQ_TIMEZONE, in which nothing starts by itself; it may go over midnight."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    begin: time
    end: time

    @classmethod
    def read(cls, said: object) -> object:
        """Read `22:00-06:00`."""
        if not isinstance(said, str):
            return said
        begin, dash, end = said.partition("-")
        try:
            hours = cls(begin=time.fromisoformat(begin.strip()), end=time.fromisoformat(end.strip()))
        except ValueError as exc:
            raise ValueError("must be two times of day such as 22:00-06:00") from exc
        if not dash or hours.begin == hours.end:
            raise ValueError("must be two different times of day such as 22:00-06:00")
        return hours

    def until(self, local: datetime) -> datetime | None:
        """Say when they end, if `local` (in the settings' time zone) lies in them; None when it does not."""
        now = local.time().replace(tzinfo=None)
        over_midnight = self.end < self.begin
        inside = (now >= self.begin or now < self.end) if over_midnight else self.begin <= now < self.end
        if not inside:
            return None
        tomorrow = timedelta(days=1) if over_midnight and now >= self.begin else timedelta(0)
        return datetime.combine(local.date() + tomorrow, self.end, local.tzinfo)


class Policy(BaseModel):
    """The rules. Counts are messages; durations are written as `30m` or `1d12h`; parts are of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # Pre-flight
    preflight: dict[CheckName, Rule] = Field(default_factory=dict, description="The rule of a check; see `rule`")
    blind: Rule = Field(
        default=Rule.WARN,
        description="What checks do to a drain that a person starts with a pace that does not watch the consumers",
    )
    look: Duration = Field(default=timedelta(seconds=5), description="How long the live queue is watched for consumers")
    success_falls: float = Field(default=0.1, gt=0, le=1, description="A success rate lower by this part is falling")

    # Approval
    unattended_levels: tuple[int, ...] = Field(default=(1, 2), description="Levels at which a run needs no person")
    approve_above: int = Field(default=50_000, ge=0, description="A run of more needs a person; 0: of any size")
    approve_by_hand: bool = Field(
        default=False, description="Off: who starts a drain by hand has agreed to it. On: somebody has to answer too"
    )
    approve_edits: bool = True
    approve_drops: bool = True
    approval_timeout: Duration = Field(default=timedelta(hours=4), description="Then it is rejected")
    approval_reminder: Duration = Field(default=timedelta(minutes=30), description="People are told again so often")
    material_change: float = Field(
        default=0.2, ge=0, le=1, description="A plan is void when depth or type mix differ by more than this part"
    )

    # Automatic runs
    quiet_hours: Annotated[QuietHours | None, BeforeValidator(QuietHours.read)] = None
    budget_per_hour: int | None = Field(default=None, ge=1, description="Messages that automatic runs may redrive")
    follow_up_every: Duration = Field(default=timedelta(days=1))
    follow_up_for: Duration = Field(default=timedelta(days=7), description="0: no follow-up")

    # Escalation
    contacts: dict[str, str] = Field(
        default_factory=dict, description="Who is called at level 1, 2, 3: a name, telephone number or address"
    )

    def rule(self, check: CheckName, *, watched: bool = True) -> Rule:
        """Give the rule of a check. `watched`: the run looks at its outcome, or nobody is there who would."""
        said = self.preflight.get(check)
        if said is None:
            said = Rule.WARN if check is CheckName.FIX else Rule.REFUSE
        if watched or said in {Rule.OFF, Rule.WARN}:
            return said
        return said if self.blind in {Rule.REFUSE, Rule.STRICT} else self.blind

    def over(self, base: "Policy") -> "Policy":
        """Put what is said here over what `base` says."""
        mine: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for name in ("preflight", "contacts"):
            if name in mine:
                mine[name] = {**getattr(base, name), **mine[name]}
        return base.model_copy(update=mine)
