"""What `GET /metrics` says of the queues, and the samples that are kept of them each minute.

Where the application exports its own metrics under the same names, scrape those and leave this job out: the rules take
the largest of several.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

from deployments.receiver.tools import LOG
from dlq.brokers.base import DeadLetterQueue, Place
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.queues import QueueConfig
from dlq.config.settings import Settings
from dlq.engine.chunks import ChunkSize
from dlq.errors import DlqError
from dlq.messages.reading import Reading
from dlq.summaries import samples
from dlq.summaries.samples import Sample

__all__ = ["CONTENT_TYPE", "QueueReading", "keep_samples", "read_all", "render"]

_PATIENCE = 8.0
_LOOKED_AT = 500  # messages at each end of a DLQ that are tried to be read
_EVERY = 60.0  # seconds between two samples


@dataclass(frozen=True, slots=True)
class QueueReading:
    """What a scrape saw of a queue; `sample` is None when its broker did not answer."""

    queue: str
    sample: Sample | None = None
    corrupted: int | None = None
    """Messages that cannot be read, among the first and last of the DLQ."""


async def read_all(settings: Settings) -> list[QueueReading]:
    """Look at every queue at once."""
    return list(await asyncio.gather(*(_read(settings, name) for name in settings.queues)))


def render(readings: Sequence[QueueReading], own: CollectorRegistry) -> bytes:
    """Write the readings and the receiver's own counts in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Readings(readings))
    return generate_latest(registry) + generate_latest(own)


async def keep_samples(settings: Settings) -> None:
    """Keep a sample of every queue each minute, until cancelled."""
    while True:
        for name in settings.queues:
            await asyncio.to_thread(_keep, settings, name)
        await asyncio.sleep(_EVERY)


@dataclass(frozen=True, slots=True, eq=False)  # the registry keeps its collectors in a dictionary
class _Readings:
    readings: Sequence[QueueReading]

    def collect(self) -> Iterable[Metric]:
        """Give the metrics of all queues; what is unknown is absent."""
        now = datetime.now(UTC)
        up = GaugeMetricFamily("dlq_receiver_queue_up", "1: the queue's broker answers.", labels=["queue"])
        depth = GaugeMetricFamily("tokpulse_dlq_depth", "Messages in the DLQ.", labels=["queue"])
        live = GaugeMetricFamily("tokpulse_queue_depth", "Messages in the live queue.", labels=["queue"])
        aside = GaugeMetricFamily("tokpulse_quarantine_depth", "Messages in quarantine.", labels=["queue"])
        arrived = CounterMetricFamily(
            "tokpulse_dlq_messages", "Messages that came into the DLQ, without what was put back.", labels=["queue"]
        )
        age = GaugeMetricFamily(
            "tokpulse_dlq_oldest_age_seconds", "Age of the failure that is consumed next.", labels=["queue"]
        )
        corrupted = GaugeMetricFamily(
            "tokpulse_dlq_corrupted",
            f"Messages that cannot be read, among the {_LOOKED_AT} oldest and the {_LOOKED_AT} newest of the DLQ.",
            labels=["queue"],
        )
        for reading in self.readings:
            sample = reading.sample
            up.add_metric([reading.queue], sample is not None)
            if sample is None:
                continue
            depth.add_metric([reading.queue], sample.depth)
            live.add_metric([reading.queue], sample.live)
            aside.add_metric([reading.queue], sample.quarantine)
            arrived.add_metric([reading.queue], sample.arrived)
            if reading.corrupted is not None:
                corrupted.add_metric([reading.queue], reading.corrupted)
            if not sample.depth:
                age.add_metric([reading.queue], 0)
            elif sample.oldest is not None:
                age.add_metric([reading.queue], max(0.0, (now - sample.oldest).total_seconds()))
        return [up, depth, live, aside, arrived, age, corrupted]


async def _read(settings: Settings, name: str) -> QueueReading:
    def read() -> QueueReading:
        with open_queue(settings, name) as (queue, config), open_notebook(settings, name) as notebook:
            sample = samples.look(queue, notebook, config)
            return QueueReading(name, sample, _corrupted(queue, config, sample.depth))

    try:
        async with asyncio.timeout(_PATIENCE):
            return await asyncio.to_thread(read)
    except (DlqError, TimeoutError) as exc:
        LOG.warning("queue %s is left out of /metrics: %s", name, exc or "the broker does not answer")
        return QueueReading(name)


def _corrupted(queue: DeadLetterQueue, config: QueueConfig, depth: int) -> int | None:
    """Count messages that cannot be read at both ends; together at most two calls of half a megabyte.

    None where looking means to take the queue away from its consumers and to give it back: not every few seconds.
    """
    if not queue.capabilities.looks:
        return None
    reader = Reading.of(config).reader
    oldest = min(_LOOKED_AT, depth)
    newest = min(_LOOKED_AT, depth - oldest)
    found = 0
    for read, count in ((queue.read, oldest), (queue.read_newest, newest)):
        if count:
            size = ChunkSize(queue, Place.DLQ).count(count)
            found += sum(reader.read(message).corruption is not None for message in read(Place.DLQ, 0, size).result())
    return found


def _keep(settings: Settings, name: str) -> None:
    try:
        with open_queue(settings, name) as (queue, config), open_notebook(settings, name) as notebook:
            samples.take(queue, notebook, config)
    except DlqError as exc:
        LOG.warning("no sample of queue %s: %s", name, exc)
