"""Channels that RabbitMQ closes, and messages that it returns."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pika
import pytest

from dlq.brokers.base import Place
from dlq.brokers.rabbit_channels import Publisher
from dlq.brokers.rabbit_flights import Flights
from dlq.brokers.rabbit_frames import Outgoing, packed
from dlq.brokers.rabbit_queue import RabbitQueue
from dlq.brokers.rabbit_wire import RabbitWire
from dlq.brokers.redis_wire import RABBIT_SCRIPTS, SCRIPTS, Wire
from dlq.embedded.rabbit import EmbeddedRabbit, find_rabbitmq
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.run import Kind, Request, start
from dlq.errors import BrokerUnreachableError, UnroutableError
from dlq.pacing.drive import drive
from dlq.pacing.pace import Mode, Pace
from dlq.records.ledger import MAYBE_DUPLICATED
from tests.integration.conformance import CONFIG, KEYS, RabbitDesk, letter
from tests.servers import missing

TO_ORIGIN = CONFIG.model_copy(update={"redrive_to": "x-death"})


@pytest.fixture(scope="module")
def impatient_server() -> Iterator[EmbeddedRabbit]:
    """Run a broker that takes back what a consumer has held for a second, and looks for that often."""
    if find_rabbitmq() is None:
        missing("rabbitmq-server")
    with EmbeddedRabbit(options={"consumer_timeout": 1_000}) as server:
        server.control("eval", "application:set_env(rabbit, channel_tick_interval, 200).")
        yield server


@pytest.fixture
def desk(rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis) -> Iterator[RabbitDesk]:
    """Give an empty queue."""
    desk = RabbitDesk(rabbit_server, redis_server.url)
    yield desk
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


def test_of_two_messages_with_the_same_bytes_the_returned_one_stays(desk: RabbitDesk) -> None:
    """Their headers decide where they go: the one that found no queue is given back, the other is not."""
    desk.channel.exchange_delete("by-tenant")
    desk.channel.exchange_declare("by-tenant", "headers", durable=True)
    desk.channel.queue_bind(CONFIG.live, "by-tenant", arguments={"x-match": "all", "tenant": "here"})
    death = {"exchange": "by-tenant", "routing-keys": ["jobs"], "queue": "jobs", "reason": "rejected", "count": 1}
    for tenant in ("here", "gone", "here", "gone"):
        properties = pika.BasicProperties(headers={"tenant": tenant, "x-death": [death]}, delivery_mode=2)
        desk.channel.basic_publish("", CONFIG.dlq, letter(1), properties)
    queue = RabbitQueue(TO_ORIGIN, desk.rabbit.url, Wire(desk.redis_url, scripts=SCRIPTS + RABBIT_SCRIPTS))
    run = start(queue, TO_ORIGIN, Request(Kind.DRAIN, "ada"), "r1")
    with pytest.raises(UnroutableError, match="2 messages"):
        run.wave(1)
    queue.close()
    assert [desk.queue.depth(place) for place in (Place.LIVE, Place.DLQ)] == [2, 2]
    for place, tenant in ((Place.LIVE, "here"), (Place.DLQ, "gone")):
        for _ in range(2):
            _, properties, _ = desk.channel.basic_get(KEYS[place], auto_ack=True)
            assert properties.headers["tenant"] == tenant


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_pass_goes_on_when_the_broker_took_back_what_it_held(
    kind: str, impatient_server: EmbeddedRabbit, redis_server: EmbeddedRedis
) -> None:
    """A consumer that holds for too long loses its channel: that is a lost connection, not the run's end."""
    desk = RabbitDesk(impatient_server, redis_server.url, kind)
    messages = [letter(number) for number in range(400)]
    desk.put(*messages)
    pauses = iter([3.0])
    record = drive(
        lambda: start(desk.connect(), CONFIG, Request(Kind.DRAIN, "ada"), "r1"),
        Pace(Mode.FIXED, batch=100, pause=0.0, max_batches=0),
        time.sleep,
        lambda _run, _wave: time.sleep(next(pauses, 0.0)),
    )
    assert (record.state, record.selected) == ("done", 400)
    assert Counter(desk.take(500)) == Counter(messages)
    assert record.facts.get(MAYBE_DUPLICATED, "0") == "0"
    desk.close()


def test_a_closed_channel_is_a_lost_connection(impatient_server: EmbeddedRabbit, redis_server: EmbeddedRedis) -> None:
    """What was confirmed, and acknowledged in vain, stands in the DLQ again and is not sent twice."""
    desk = RabbitDesk(impatient_server, redis_server.url)
    messages = [letter(number) for number in range(400)]
    desk.put(*messages)
    run = desk.start()
    run.wave(1, 100)
    time.sleep(3)
    with pytest.raises(BrokerUnreachableError, match="held"):
        run.wave(2)
    desk.queue.close()
    assert desk.run().selected == 400
    assert (desk.show(), desk.take(500)) == ([], messages)
    desk.close()


def test_a_slow_pass_gives_back_what_it_held_for_long(desk: RabbitDesk) -> None:
    """One that is never idle, but slow, has messages in hand that came long ago: the next wave takes them anew."""
    desk.put(*(letter(number) for number in range(300)))
    desk.queue._held_seconds = 0.4
    run = desk.start()
    for number in (1, 2):
        run.wave(number, 100)
        time.sleep(0.25)
        run.renew()
        assert (desk.queue._places.held() is None) == (number == 2)
    run.wave(3)
    assert run.finish().redriven == 300
    assert desk.take(400) == [letter(number) for number in range(300)]


def test_a_queue_that_is_made_anew_is_read_anew(desk: RabbitDesk) -> None:
    """Somebody deletes the DLQ under a run and declares it again: the run is told, and takes nothing twice."""
    desk.put(*(letter(number) for number in range(300)))
    run = desk.start()
    run.wave(1, 100)
    desk.channel.queue_delete(CONFIG.dlq)
    desk.channel.queue_declare(CONFIG.dlq, durable=True, arguments={"x-queue-type": "classic"})
    fresh = [letter(number) for number in range(1_000, 1_010)]
    desk.put(*fresh)
    with pytest.raises(BrokerUnreachableError, match="cancelled"):
        run.wave(2)
    desk.queue.close()
    assert desk.run().state == "done"
    found = Counter(desk.take(500) + desk.show())
    assert set(fresh) <= set(found)
    assert max(found.values()) == 1


def test_a_broker_that_is_short_of_memory_is_waited_for(
    rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis
) -> None:
    """What was published when it blocked is taken when its alarm is over, and is not published again."""
    desk = RabbitDesk(rabbit_server, redis_server.url)
    messages = [letter(number) for number in range(300)]
    desk.put(*messages)
    rabbit_server.control("set_vm_memory_high_watermark", "0.00001")
    relief = threading.Timer(5.0, rabbit_server.control, ("set_vm_memory_high_watermark", "0.5"))
    relief.start()
    desk.queue._flights._wire._timeout = 2.0
    try:
        record = desk.run()
    finally:
        relief.join()
    assert (record.selected, record.facts.get(MAYBE_DUPLICATED, "0")) == (300, "0")
    assert desk.take(700) == messages
    desk.close()


def test_what_finds_no_queue_is_told_before_its_original_goes(rabbit_server: EmbeddedRabbit) -> None:
    """Whoever marks or puts messages waits for the broker to have them; one that no queue took ends it."""
    flights = Flights(RabbitWire(rabbit_server.url), str, lambda _flight, _returned: None)
    lasting = packed(pika.BasicProperties(delivery_mode=2))
    with pytest.raises(UnroutableError, match="1 messages found no queue"):
        flights.deliver("mark", [Outgoing("", "nobody has this queue", lasting, b"x")])
    flights.close()
