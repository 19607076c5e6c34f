"""A queue of RabbitMQ: what becomes of properties, goals, and of a process that ends in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pika
import pytest

from dlq.brokers.base import Place
from dlq.brokers.rabbit_queue import RabbitQueue
from dlq.brokers.redis_wire import RABBIT_SCRIPTS, SCRIPTS, Wire
from dlq.config.queues import QueueConfig
from dlq.embedded.rabbit import EmbeddedRabbit
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind, Request, start
from dlq.errors import AuthError, BrokerUnreachableError, DeliveryLimitError, QueueMissingError, UnroutableError
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace
from dlq.records.ledger import DUPLICATE, MAYBE_DUPLICATED
from dlq.records.timeline import timeline
from tests.integration.conformance import CONFIG, KEYS, RabbitDesk, is_of, letter

EMAIL = Selector(types=("email",))
TO_ORIGIN = CONFIG.model_copy(update={"redrive_to": "x-death"})


@pytest.fixture
def desk(rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis) -> Iterator[RabbitDesk]:
    """Give an empty queue."""
    desk = RabbitDesk(rabbit_server, redis_server.url)
    yield desk
    desk.close()


def drained(desk: RabbitDesk, config: QueueConfig = CONFIG, **request: Any) -> RabbitQueue:
    """Drain by a queue of its own, closed at the end."""
    queue = RabbitQueue(config, desk.rabbit.url, Wire(desk.redis_url, scripts=SCRIPTS + RABBIT_SCRIPTS))
    run = start(queue, config, Request(Kind.DRAIN, "ada", **request), "r1")
    run.wave(1)
    run.finish()
    queue.close()
    return queue


def test_properties_and_headers_go_along(desk: RabbitDesk) -> None:
    """Redriven, kept and edited messages have all properties that they had."""
    properties = pika.BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        headers={"tenant": "a", "n": 7, "deep": {"x": [1, "b", True, None]}},
        delivery_mode=2,
        priority=3,
        correlation_id="c",
        reply_to="r",
        expiration="3600000",
        message_id="m",
        timestamp=1_700_000_000,
        type="t",
        user_id="guest",
        app_id="app",
    )
    for number in range(4):
        desk.channel.basic_publish("", CONFIG.dlq, letter(number), properties)
    drained(desk, selector=EMAIL, edit=Edit(set=("retryCount=0",)))
    for place, count in ((Place.LIVE, 2), (Place.DLQ, 2)):
        for _ in range(count):
            _, found, _ = desk.channel.basic_get(KEYS[place], auto_ack=True)
            assert vars(found) == vars(properties)


def test_a_message_goes_where_it_was_published_before_it_died(desk: RabbitDesk) -> None:
    """Exchange and routing key of its death lead it back through the application's own bindings."""
    desk.channel.exchange_declare("work", "topic", durable=True)
    desk.channel.queue_delete("elsewhere")
    desk.channel.queue_declare(
        "elsewhere", durable=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": CONFIG.dlq}
    )
    desk.channel.queue_bind("elsewhere", "work", "orders.*")
    desk.channel.basic_publish("work", "orders.eu", letter(1))
    method, _, _ = desk.channel.basic_get("elsewhere")
    desk.channel.basic_reject(method.delivery_tag, requeue=False)
    desk.put(letter(3))
    drained(desk, TO_ORIGIN)
    _, properties, body = desk.channel.basic_get("elsewhere", auto_ack=True)
    assert body == letter(1)
    assert properties.headers["x-death"][0]["queue"] == "elsewhere"
    assert desk.show(Place.LIVE) == [letter(3)], "one that never died goes to the live queue"


def test_what_cannot_be_routed_stays(desk: RabbitDesk) -> None:
    """The live queue is gone: the run stops, each message is in the DLQ, and the ledger has none of them."""
    messages = [letter(number) for number in range(30)]
    desk.put(*messages)
    desk.channel.queue_delete(CONFIG.live)
    with pytest.raises(UnroutableError, match="30 messages"):
        desk.run()
    desk.queue.close()
    assert desk.show() == messages
    record = desk.queue.run("r1")
    assert record is not None
    assert (record.selected, record.kept) == (0, 30)


def test_a_resumed_run_keeps_what_came_back(desk: RabbitDesk) -> None:
    """The very run that found no queue goes on; nothing of what it gave back is acknowledged."""
    messages = [letter(number) for number in range(1_200)]
    desk.put(*messages)
    desk.channel.queue_delete(CONFIG.live)
    with pytest.raises(UnroutableError):
        desk.run()
    desk.queue.close()
    desk.channel.queue_declare(CONFIG.live, durable=True)
    other = desk.connect()
    run = start(other, CONFIG, Request(Kind.DRAIN, "ada"), "r1")
    run.wave(1)
    run.finish()
    other.close()
    assert sorted(desk.take(2_000) + desk.take(2_000, Place.DLQ)) == sorted(messages)


def test_a_long_pause_holds_nothing(desk: RabbitDesk) -> None:
    """The broker would take it away from who holds it for half an hour; then the pass goes on where it was."""
    desk.put(*(letter(number) for number in range(300)))
    desk.queue._held_seconds = 0.0
    run = desk.start()
    run.wave(1, 100)
    assert desk.queue._places.held() is not None
    run.renew()
    assert desk.queue._places.held() is None
    assert desk.channel.queue_declare(CONFIG.dlq, passive=True).method.message_count == 200
    run.wave(2)
    assert run.finish().redriven == 300
    assert desk.take(400) == [letter(number) for number in range(300)]


def test_a_quarantine_queue_is_made_when_it_is_needed(desk: RabbitDesk) -> None:
    """Nobody has declared it; what comes back from it by a rollback has its bytes."""
    desk.channel.queue_delete(CONFIG.quarantine)
    desk.put(letter(1), letter(2))
    assert desk.queue.depth(Place.QUARANTINE) == 0
    desk.run(Kind.QUARANTINE, selector=EMAIL)
    assert desk.show(Place.QUARANTINE) == [letter(1)]
    assert roll_back(desk.queue, CONFIG, "r1", "ada").withdrawn == 1
    assert Counter(desk.show()) == Counter([letter(1), letter(2)])


def test_a_missing_dlq_is_told(desk: RabbitDesk) -> None:
    """A typing error in dlq.toml is not an empty queue."""
    desk.channel.queue_delete(CONFIG.dlq)
    with pytest.raises(QueueMissingError, match=CONFIG.dlq):
        desk.queue.depth(Place.DLQ)


def test_looking_takes_nothing_and_changes_no_order(desk: RabbitDesk) -> None:
    """Whoever consumes afterwards finds all messages, the oldest first."""
    messages = [letter(number) for number in range(300)]
    desk.put(*messages)
    assert desk.queue.read(Place.DLQ, 10, 5).result() == messages[10:15]
    assert desk.queue.read_newest(Place.DLQ, 2, 3).result() == messages[297:294:-1]
    desk.queue.close()
    assert desk.take(300, Place.DLQ) == messages


def test_looking_ends_before_a_delivery_limit(rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis) -> None:
    """A quorum queue counts deliveries: after a few looks there is a refusal, and every message is still there."""
    desk = RabbitDesk(rabbit_server, redis_server.url, kind="quorum")
    desk.put(letter(1), letter(2))

    def look_often() -> None:
        for _ in range(20):
            desk.queue.depth(Place.DLQ)
            desk.queue.read(Place.DLQ, 0, 2).result()
            desk.queue.close()

    with pytest.raises(DeliveryLimitError):
        look_often()
    desk.queue.close()
    drained(desk)
    assert Counter(desk.take(5)) == Counter([letter(1), letter(2)])
    desk.close()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_drain_and_its_rollback_on_either_kind(
    kind: str, rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis
) -> None:
    """Selective, in waves; only a classic queue keeps the order of what is given back."""
    desk = RabbitDesk(rabbit_server, redis_server.url, kind)
    messages = [letter(number) for number in range(200)]
    desk.put(*messages)
    desk.run(selector=EMAIL, wave=30)
    emails = [message for message in messages if is_of("email", message)]
    assert desk.show(Place.LIVE) == emails
    kept = desk.show()
    assert Counter(kept) == Counter(messages) - Counter(emails)
    assert kind == "quorum" or kept == [message for message in messages if message not in emails]
    assert desk.undo().withdrawn == len(emails)
    assert Counter(desk.show()) == Counter(messages)
    desk.close()


@pytest.mark.parametrize("step", ["noted", "published", "confirmed"])
def test_a_process_that_ends_within_a_batch_loses_nothing(
    desk: RabbitDesk, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was confirmed is not sent again; what may have been published is, marked and counted."""
    messages = [letter(number) for number in range(40)]
    desk.put(*messages)
    queue: Any = desk.queue
    if step == "noted":
        monkeypatch.setattr(queue._flights, "send", _end)
    elif step == "published":
        monkeypatch.setattr(queue, "_write", _end)
    else:
        monkeypatch.setattr("dlq.brokers.rabbit_reading.Pass.acknowledge", _end)
    with pytest.raises(Ended):
        desk.run()
    monkeypatch.undo()
    queue._rabbit.close()
    other = desk.connect()
    run = start(other, CONFIG, Request(Kind.DRAIN, "ada"), "r1")
    run.wave(1)
    run.finish()
    other.close()
    found = [desk.channel.basic_get(CONFIG.live, auto_ack=True) for _ in range(120)]
    bodies = Counter(body for _, _, body in found if body is not None)
    marked = sum(DUPLICATE in (properties.headers or {}) for _, properties, body in found if body is not None)
    record = other.run("r1")
    assert record is not None
    twice = {"noted": 0, "published": 40, "confirmed": 0}[step]
    assert set(bodies) == set(messages)
    assert bodies.total() - len(messages) == twice
    assert marked == int(record.facts.get(MAYBE_DUPLICATED, "0")) == (0 if step == "confirmed" else 40)
    assert record.selected == 40


class Ended(Exception):  # noqa: N818 - it is not an error of the program
    """The process ends here."""


def _end(*_args: object, **_named: object) -> None:
    raise Ended


@pytest.mark.parametrize("after", [0.3, 0.8])
def test_a_killed_command_is_resumed(desk: RabbitDesk, after: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL at some moment of `dlq drain`: nothing is lost; what is there twice is within a window, and counted."""
    monkeypatch.setenv("DLQ_BROKER_URL", desk.rabbit.url)
    monkeypatch.setenv("DLQ_REDIS_URL", desk.redis_url)
    monkeypatch.setenv("DLQ_LOCK_SECONDS", "5")
    messages = [letter(number, padding="x" * 200) for number in range(6_000)]
    desk.put(*messages)
    dlq = [sys.executable, "-m", "dlq"]
    drain = subprocess.Popen(
        [*dlq, "drain", "webhooks", "--pace", "none", "--yes", "--settle", "0", "--override", "test"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not desk.queue.runs(1) and drain.poll() is None:
        time.sleep(0.02)
    time.sleep(after)
    os.kill(drain.pid, signal.SIGKILL)
    drain.wait()
    (record,) = desk.queue.runs(1)
    if record.state == "running":
        done = subprocess.run(
            [*dlq, "resume", record.run_id, "--take-over", "--settle", "0", "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout.splitlines()[-1])["unexplained"] == 0
    bodies = Counter(desk.take(20_000))
    assert set(bodies) == set(messages)
    (record,) = desk.queue.runs(1)
    assert bodies.total() - len(messages) <= int(record.facts.get(MAYBE_DUPLICATED, "0"))


def test_a_broker_that_restarts_stops_the_run_for_a_while(redis_server: EmbeddedRedis) -> None:
    """Durable messages survive; the same run goes on."""
    with EmbeddedRabbit() as rabbit:
        desk = RabbitDesk(rabbit, redis_server.url)
        messages = [letter(number) for number in range(400)]
        desk.put(*messages)
        run = desk.start()
        run.wave(1, 100)
        desk.connection.close()
        rabbit.stop()
        with pytest.raises(BrokerUnreachableError):
            run.wave(2, 100)
        rabbit.start()
        other = RabbitQueue(CONFIG, rabbit.url, Wire(redis_server.url, scripts=SCRIPTS + RABBIT_SCRIPTS))
        run = start(other, CONFIG, Request(Kind.DRAIN, "ada"), "r1")
        run.wave(2)
        assert run.finish().selected == 400
        assert Counter(other.read(Place.LIVE, 0, 1_000).result()) == Counter(messages)
        other.close()
        desk.queue.close()
        desk.client.close()


def test_a_wrong_password_is_told_without_it(desk: RabbitDesk) -> None:
    """The credentials are named as the cause, and not shown."""
    url = f"amqp://guest:hunter2@127.0.0.1:{desk.rabbit.port}/%2F"
    queue = RabbitQueue(CONFIG, url, Wire(desk.redis_url, scripts=SCRIPTS + RABBIT_SCRIPTS))
    with pytest.raises(AuthError) as told:
        queue.depth(Place.DLQ)
    assert "hunter2" not in str(told.value)


def test_an_adaptive_drain_keeps_to_the_fixed_pace_and_says_so(desk: RabbitDesk) -> None:
    """The outcome of a wave cannot be looked at cheaply: the timeline tells which pace it is instead, and why."""
    desk.put(*(letter(number) for number in range(250)))
    notebook, naps = desk.notebook(), list[float]()
    pace = Pace.adaptive()
    request = Request(Kind.DRAIN, "ada", pace=pace.as_parameters())
    clock = [1_000_000.0]

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock[0] += seconds

    record = drive(
        lambda: start(desk.queue, CONFIG, request, "r1"), pace, nap, lambda _r, _w: None, notebook, lambda: clock[0]
    )
    assert (record.state, record.selected, record.wave) == ("done", 250, 3)
    assert sum(naps) == 60
    (event,) = timeline(notebook, "r1")
    assert "cannot be looked at" in event.text
    notebook.close()
