"""The runbook's metrics as PromQL: what they are called, and what is asked of them. Nothing here asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

if TYPE_CHECKING:
    from collections.abc import Mapping

MetricName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
LabelName = Annotated[str, StringConstraints(pattern=r"^([a-zA-Z_][a-zA-Z0-9_]*)?$")]
Window = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[smhd]$")]

PART = "dlq_part"  # the label that tells the parts of one answer apart
AT = "at"
VALUE = "value"


class MetricNames(BaseModel):
    """What the runbook's metrics and their labels are called here; the table [metrics] of dlq.toml.

    `queue_label` tells queues apart; "" for metrics that have no such label. `labels` are asked for in addition.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    depth: MetricName = "tokpulse_dlq_depth"
    messages: MetricName = "tokpulse_dlq_messages_total"
    attempts: MetricName = "tokpulse_job_attempts_total"
    processed: MetricName = "tokpulse_job_processed_total"
    queue_label: LabelName = "queue"
    status_label: LabelName = "status"
    success: str = "success"
    failed: str = "failed"
    labels: dict[Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")], str] = {}
    window: Window = "5m"


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing to ask: its parts as PromQL by name, and the series that it stands on.

    Each part gives one number at most. The part `at` is the moment of the newest sample, in epoch seconds.
    """

    selector: str
    parts: Mapping[str, str]

    @property
    def query(self) -> str:
        """Give one query for all parts, so that they are of the same moment; PART names each in the answer."""
        return " or ".join(f'label_replace({text}, "{PART}", "{name}", "", "")' for name, text in self.parts.items())


def depth(names: MetricNames, queue: str) -> Measure:
    """Ask for the messages in the DLQ. Several exporters may tell of the same DLQ: the largest counts, not the sum."""
    series = _series(names, names.depth, queue)
    return _measure(series, f"max({series})")


def growth_per_minute(names: MetricNames, queue: str) -> Measure:
    """Ask for the messages a minute that come into the DLQ, over the window."""
    series = _series(names, names.messages, queue)
    return _measure(series, f"60 * sum(rate({series}[{names.window}]))")


def failures_per_hour(names: MetricNames, queue: str) -> Measure:
    """Ask for the failed attempts in the last hour."""
    series = _series(names, names.attempts, queue, names.failed)
    return _measure(series, f"sum(increase({series}[1h]))")


def processing_rate(names: MetricNames, queue: str) -> Measure:
    """Ask for the messages a second that the workers process, well or not, over the window."""
    series = _series(names, names.processed, queue)
    return _measure(series, f"sum(rate({series}[{names.window}]))")


def success_rate(names: MetricNames, queue: str) -> Measure:
    """Ask for processed messages a second, all, well done and failed: the parts of a share."""
    series = _series(names, names.processed, queue)
    rates = {
        part: f"sum(rate({_series(names, names.processed, queue, status)}[{names.window}]))"
        for part, status in (("all", None), ("success", names.success), ("failed", names.failed))
    }
    return Measure(series, {AT: f"max(timestamp({series}))", **rates})


def success_share(names: MetricNames, queue: str) -> Measure:
    """Ask for the share of processed messages that went well, as one number: for a look over time."""
    parts = success_rate(names, queue)
    return _measure(parts.selector, f"{parts.parts['success']} / {parts.parts['all']}")


def _measure(series: str, value: str) -> Measure:
    return Measure(series, {AT: f"max(timestamp({series}))", VALUE: value})


def _series(names: MetricNames, metric: str, queue: str, status: str | None = None) -> str:
    """Write a selector such as `tokpulse_dlq_depth{queue="webhooks"}`."""
    labels = dict(names.labels)
    if names.queue_label:
        labels[names.queue_label] = queue
    if status is not None and names.status_label:
        labels[names.status_label] = status
    inner = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
    return f"{metric}{{{inner}}}" if inner else metric
