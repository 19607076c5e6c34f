"""Alertmanager's webhook payload, version 4, as far as it is used.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from dlq.records.alerts import Alert

_OLDEST, _NEWEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")  # PostgreSQL takes no NUL, and a log line no line break


def _plausible(moment: datetime) -> datetime:
    if not _OLDEST <= moment <= _NEWEST:
        raise ValueError("must be a moment between the years 2000 and 2200")
    return moment


Texts = dict[str, str]
Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]


class FiringOrResolved(BaseModel):
    """One alert of a payload."""

    model_config = ConfigDict(frozen=True, title="AlertmanagerAlert")

    status: Literal["firing", "resolved"]
    labels: Texts
    annotations: Texts = Field(default_factory=dict)
    starts_at: Moment = Field(alias="startsAt")
    generator_url: str = Field(default="", alias="generatorURL")
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{0,128}$")] = ""

    @property
    def name(self) -> str:
        """Name its rule."""
        return line(self.labels.get("alertname", ""), 200) or "unnamed"

    @property
    def identity(self) -> str:
        """Tell it from others: its fingerprint, or what Alertmanager makes one of, its labels."""
        if self.fingerprint:
            return self.fingerprint
        said = "\0".join(f"{name}\0{self.labels[name]}" for name in sorted(self.labels))
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def since(self) -> datetime:
        """Say when it began to fire, in UTC."""
        return self.starts_at.astimezone(UTC)

    def key(self, queue: str) -> str:
        """Name this firing of it on a queue: the same whoever sends it, and however often."""
        return f"alert-{self.identity}-{self.since:%Y%m%dT%H%M%S.%f}-{queue}"

    def about(self, queue: str) -> Alert:
        """Give it as the flows know it."""
        return Alert(
            name=self.name,
            fingerprint=self.identity,
            starts_at=self.since,
            severity=line(self.labels.get("severity", ""), 200),
            level=_level(self.labels.get("level", "")),
            queue=queue,
            summary=line(self.annotations.get("summary") or self.annotations.get("description") or "", 1_000),
            url=line(self.generator_url, 2_000),
        )


class Payload(BaseModel):
    """What Alertmanager posts: one group of alerts, firing and resolved ones together."""

    model_config = ConfigDict(
        frozen=True,
        title="AlertmanagerPayload",
        json_schema_extra={
            "examples": [
                {
                    "version": "4",
                    "groupKey": '{}:{queue="webhooks"}',
                    "truncatedAlerts": 0,
                    "status": "firing",
                    "receiver": "dlq-drain",
                    "alerts": [
                        {
                            "status": "firing",
                            "labels": {"alertname": "HighDLQDepth", "queue": "webhooks", "severity": "high"},
                            "annotations": {"summary": "webhooks: 2,000 messages in the DLQ"},
                            "startsAt": "2026-11-25T08:00:00Z",
                            "generatorURL": "http://prometheus:9090/graph",
                            "fingerprint": "c1f2a3b4d5e60718",
                        }
                    ],
                }
            ]
        },
    )

    version: Literal["4"]
    alerts: list[FiringOrResolved]
    group_key: str = Field(default="", alias="groupKey")
    truncated_alerts: int = Field(default=0, alias="truncatedAlerts", ge=0)
    status: Any = None
    receiver: Any = None


def line(text: str, longest: int) -> str:
    """Make a text from outside fit to be shown, kept and logged: one line, no more than so long."""
    clean = _CONTROL.sub(" ", text.encode("utf-8", "replace").decode("utf-8")).strip()
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def _level(text: str) -> int | None:
    return int(text) if text in {"1", "2", "3"} else None
