"""The queues as they are configured: keys, fields, thresholds. The defaults are the runbook's."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from dlq.config.policy_table import Policy
from dlq.errors import BadArgumentError
from dlq.fields import FieldPath

RUNBOOK_WORKERS: dict[str, str | None] = {
    "webhooks": "webhook-workers",
    "jobs": "job-workers",
    "experiments": None,
}
RUNBOOK_REPLICAS: dict[str, tuple[int, int]] = {"webhooks": (10, 3), "jobs": (5, 2)}
_QUEUE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_FROZEN = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


def _path(text: object) -> object:
    """Refuse what FieldPath cannot read, in the words that pydantic passes on."""
    if isinstance(text, str):
        try:
            FieldPath.parse(text)
        except BadArgumentError as exc:
            raise ValueError(str(exc)) from exc
    return text


PathText = Annotated[str, BeforeValidator(_path)]


class FieldConfig(BaseModel):
    """Where the fields of a message lie, as dotted paths; None means: detect by the usual names."""

    model_config = _FROZEN

    type: PathText | None = None
    error: PathText | None = None
    error_class: PathText | None = None
    attempts: PathText | None = None
    failed_at: PathText | None = None
    id: PathText | None = None
    customer: PathText | None = Field(default=None, description="Whose message it is; there is no usual name for it")
    volatile: tuple[PathText, ...] = Field(
        default=(), description="Further paths that change when a message fails again"
    )


class Thresholds(BaseModel):
    """When a queue needs whom: the numbers of the runbook's quick reference and escalation tables."""

    model_config = _FROZEN

    depth_warn: int = Field(default=1_000, ge=1)
    depth_emergency: int = Field(default=10_000, ge=1)
    growth_per_minute: int = Field(default=100, ge=1)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.depth_emergency < self.depth_warn:
            raise ValueError("depth_emergency must not be lower than depth_warn")
        return self


class LoopConfig(BaseModel):
    """What an adaptive drain of the queue keeps to; times are seconds, limits of bounces are shares."""

    model_config = _FROZEN

    grace_seconds: float = Field(default=10.0, gt=0, le=3_600, description="How long after it was taken one may bounce")
    bounce_limit: float = Field(default=0.2, gt=0, lt=1, description="A signature over this is stopped, alone")
    total_limit: float = Field(default=0.4, gt=0, lt=1, description="The whole drain is stopped when all are over this")
    live_ceiling: int = Field(default=10_000, ge=1, description="No wave makes the live queue longer than this")
    rate: float | None = Field(default=None, gt=0, description="Messages a second at most")
    lag_seconds: float = Field(default=30.0, gt=0, description="Workers that need longer for what they have lag")
    stall_seconds: float = Field(default=300.0, gt=0, description="The drain stops when workers take nothing that long")
    on_trip: Literal["stop", "withdraw"] = Field(default="stop", description="What follows when the whole drain stops")
    poison_after: int = Field(
        default=3, ge=1, le=100, description="So many bounces, over all runs, make a message poison"
    )


class QueueConfig(BaseModel):
    """One queue: the keys of its DLQ, live queue and quarantine, and how to read its messages."""

    model_config = _FROZEN

    name: str
    dlq: str = Field(min_length=1)
    live: str = Field(min_length=1)
    quarantine: str = Field(min_length=1)
    redrive_to: Literal["live", "x-death"] = Field(
        default="live", description="RabbitMQ: the live queue, or where each message was published before it died"
    )
    workers: str | None = Field(
        default=None, description="Name of the Kubernetes deployment that works on the live queue"
    )
    scale_to: int | None = Field(default=None, ge=1, le=1_000, description="Workers when the DLQ grows fast")
    scale_from: int | None = Field(
        default=None, ge=1, le=1_000, description="Workers on a usual day, where nobody wrote down how many there were"
    )
    concurrency: int = Field(default=20, ge=1, le=10_000, description="Of each worker when the DLQ grows fast")
    fields: FieldConfig = FieldConfig()
    schema_file: Path | None = Field(default=None, alias="schema", description="JSON Schema of a healthy message")
    thresholds: Thresholds = Thresholds()
    loop: LoopConfig = LoopConfig()
    policy: Policy = Field(default=Policy(), description="What differs from the [policy] of all queues")

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _QUEUE_NAME.fullmatch(name):
            raise ValueError("a queue name is letters, digits, dot, dash and underscore, at most 100")
        return name

    @model_validator(mode="after")
    def _three_keys(self) -> Self:
        if len({self.dlq, self.live, self.quarantine}) < 3:  # noqa: PLR2004 - the three keys of the line above
            raise ValueError("dlq, live and quarantine must be three different keys")
        return self

    @field_validator("workers")
    @classmethod
    def _none_for_empty(cls, workers: str | None) -> str | None:
        """Let a file say "no workers" for a queue of the runbook; TOML has no null."""
        return workers or None

    @staticmethod
    def defaults(name: str, prefix: str = "tokpulse") -> dict[str, Any]:
        """Give name, keys and workers of a queue of which nothing is said, by the runbook's pattern."""
        return {
            "name": name,
            "dlq": f"{prefix}:dlq:{name}",
            "live": f"{prefix}:{name}",
            "quarantine": f"{prefix}:quarantine:{name}",
            "workers": RUNBOOK_WORKERS.get(name),
            "scale_to": RUNBOOK_REPLICAS.get(name, (None, None))[0],
            "scale_from": RUNBOOK_REPLICAS.get(name, (None, None))[1],
        }
