"""A drain of a RabbitMQ queue beside the broker's own dynamic shovel, on the same server in turns."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import TYPE_CHECKING

import pika

from benchmarks import workload
from benchmarks.rows import Row, memory_row, row
from benchmarks.watch import DRAIN, peak_megabytes
from dlq.brokers.rabbit_queue import RabbitQueue
from dlq.brokers.redis_wire import RABBIT_SCRIPTS, SCRIPTS, Wire
from dlq.config.queues import QueueConfig
from dlq.embedded.rabbit import EmbeddedRabbit, find_rabbitmq
from dlq.engine.run import Kind, Request, start
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace

if TYPE_CHECKING:
    from benchmarks.measures import Bench

_CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
_FRACTION = 20  # of the large size: 50,000 of a million
_PREFETCH = 1_000
_PLUGIN = "rabbitmq_shovel"


def on_rabbit(bench: Bench) -> list[Row]:
    """Move a DLQ of RabbitMQ in full, ours and the shovel in turns, then a quarter of twice as many; weigh it."""
    if find_rabbitmq() is None:
        return []
    size = bench.large // _FRACTION
    ours, theirs, some = [], [], []
    with EmbeddedRabbit(plugins=(_PLUGIN,)) as rabbit:
        for _ in range(bench.times):
            _stock(rabbit, size)
            theirs.append(_shovel(rabbit, size))
            _stock(rabbit, size)
            ours.append(_drain(bench, rabbit, Selector(corrupted=None), size))
            _stock(rabbit, 2 * size)
            some.append(_drain(bench, rabbit, Selector(types=(workload.CHOSEN,)), size // 2))
        peaks = [_peak(bench, rabbit, count) for count in (2 * size // 5, 2 * size)]
    rate, base = size / median(ours), size / median(theirs)
    selective, full = median(some), 2 * median(ours)
    return [
        row(
            f"RabbitMQ: full move of {size:,}, against the shovel",
            rate,
            "messages/s",
            base,
            "at least 1.0",
            ok=rate >= base,
        ),
        row(
            f"RabbitMQ: a quarter of {2 * size:,}, against a full move",
            selective,
            "s",
            full,
            "at most 2",
            ok=selective <= 2 * full,
        ),
        memory_row(f"RabbitMQ: peak memory of drain, {2 * size:,} against {2 * size // 5:,}", peaks[1], peaks[0]),
    ]


def _stock(rabbit: EmbeddedRabbit, count: int) -> None:
    """Make the DLQ hold `count` messages and the live queue none."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
    channel = connection.channel()
    for name in (_CONFIG.dlq, _CONFIG.live):
        channel.queue_delete(name)
        channel.queue_declare(name, durable=True)
    lasting = pika.BasicProperties(delivery_mode=2)
    for message in workload.messages(count):
        channel.basic_publish("", _CONFIG.dlq, message, lasting)
    while channel.queue_declare(_CONFIG.dlq, passive=True).method.message_count < count:
        time.sleep(0.05)
    connection.close()


def _peak(bench: Bench, rabbit: EmbeddedRabbit, count: int) -> float:
    """Let the command drain `count` messages; give its peak memory."""
    _stock(rabbit, count)
    return peak_megabytes([*DRAIN], bench.url, DLQ_BROKER_URL=rabbit.url)


def _shovel(rabbit: EmbeddedRabbit, count: int) -> float:
    """Let a dynamic shovel move the queue, with confirms; give the seconds."""
    said = {
        "src-protocol": "amqp091",
        "src-uri": rabbit.url,
        "src-queue": _CONFIG.dlq,
        "dest-protocol": "amqp091",
        "dest-uri": rabbit.url,
        "dest-queue": _CONFIG.live,
        "ack-mode": "on-confirm",
        "src-prefetch-count": _PREFETCH,
        "src-delete-after": count,
    }
    connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
    channel = connection.channel()
    rabbit.control("set_parameter", "shovel", "benchmark", json.dumps(said))
    began = 0.0
    while (moved := channel.queue_declare(_CONFIG.live, passive=True).method.message_count) < count:
        if moved and not began:
            began, first = time.perf_counter(), moved
        time.sleep(0.01)
    seconds = (time.perf_counter() - began) * count / (count - first)  # its start, by another program, is not counted
    connection.close()
    return seconds


def _drain(bench: Bench, rabbit: EmbeddedRabbit, selector: Selector, expected: int) -> float:
    """Drain to the end; give the seconds."""
    queue = RabbitQueue(_CONFIG, rabbit.url, Wire(bench.url, scripts=SCRIPTS + RABBIT_SCRIPTS))
    pace = Pace.unpaced()
    request = Request(Kind.DRAIN, "benchmark", selector=selector, pace=pace.as_parameters())
    began = time.perf_counter()
    record = drive(lambda: start(queue, _CONFIG, request), pace, lambda _seconds: None, lambda _run, _wave: None)
    seconds = time.perf_counter() - began
    queue.close()
    if record.selected != expected:
        raise RuntimeError(f"expected {expected} messages, found {record.selected}")
    return seconds
