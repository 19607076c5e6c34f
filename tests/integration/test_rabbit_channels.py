"""Channels that RabbitMQ closes, and messages that it returns."""

import subprocess
import time
from collections.abc import Iterator

import pika
import pytest
import redis

from dlq.brokers.rabbit_channels import Publisher
from dlq.brokers.rabbit_frames import Outgoing, packed
from dlq.brokers.rabbit_wire import RabbitWire
from dlq.embedded.rabbit import EmbeddedRabbit, find_rabbitmq
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.run import Kind, Request, start
from dlq.pacing.drive import drive
from dlq.pacing.pace import Mode, Pace
from tests.integration.conformance import CONFIG, RabbitDesk, letter

HASTY = "[application:set_env(rabbit, K, V) || {K, V} <- [{consumer_timeout, 1000}, {channel_tick_interval, 200}]]."


@pytest.fixture
def hasty(redis_server: EmbeddedRedis) -> Iterator[RabbitDesk]:
    """Give an empty queue of a broker that takes back what is not acknowledged within a second."""
    program = find_rabbitmq()
    assert program is not None
    with redis.Redis.from_url(redis_server.url) as client, EmbeddedRabbit() as rabbit:
        client.flushall()
        control = program.with_name("rabbitmqctl")
        subprocess.run([control, "eval", HASTY], env=rabbit.environment, check=True, stdout=subprocess.DEVNULL)
        desk = RabbitDesk(rabbit, redis_server.url)
        yield desk
        desk.close()


def test_a_channel_that_was_closed_for_holding_too_long_is_opened_again(hasty: RabbitDesk) -> None:
    """Between two waves the broker takes back what the pass holds: the drain goes on, and moves each message once."""
    messages = [letter(number) for number in range(300)]
    hasty.put(*messages)
    pauses = iter([3.0])  # the broker's time-out is one second

    record = drive(
        lambda: start(hasty.connect(), CONFIG, Request(Kind.DRAIN, "ada"), "r1"),
        Pace(Mode.FIXED, batch=100, pause=0.0, max_batches=0),
        time.sleep,
        lambda _run, _wave: time.sleep(next(pauses, 0.0)),
    )
    assert (record.state, record.redriven) == ("done", 300)
    assert hasty.take(400) == messages


def test_what_is_held_for_long_is_given_back_in_time(
    rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis
) -> None:
    """A slow pass is never idle, but holds its front for longer than a broker likes: it gives it back, and goes on."""
    desk = RabbitDesk(rabbit_server, redis_server.url)
    desk.client.flushall()
    messages = [letter(number) for number in range(300)]
    desk.put(*messages)
    run = desk.start()
    run.wave(1, 100)
    desk.queue._places.taken_at -= 1_000.0
    run.renew()
    assert desk.queue._places.held() is None
    run.wave(2)
    assert run.finish().redriven == 300
    assert desk.take(400) == messages
    desk.close()


@pytest.mark.parametrize("marks", [("a", "b"), ("b", "a")])
def test_the_very_message_that_came_back_is_named(rabbit_server: EmbeddedRabbit, marks: tuple[str, str]) -> None:
    """Two messages differ in a header only, by which their exchange routes: the one without a queue is returned."""
    with pika.BlockingConnection(pika.URLParameters(rabbit_server.url)) as connection:
        channel = connection.channel()
        channel.exchange_declare("by-header", "headers", auto_delete=True)
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "by-header", arguments={"x-match": "all", "mark": "a"})
        wire = RabbitWire(rabbit_server.url)
        headers = [packed(pika.BasicProperties(headers={"mark": mark})) for mark in marks]
        published = Publisher(wire).publish([Outgoing("by-header", "k", header, b"same") for header in headers])
        assert published.result(30) == [marks.index("b")]
        wire.close()
