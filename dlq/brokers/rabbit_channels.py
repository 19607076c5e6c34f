"""What goes over the channels of a RabbitMQ connection: messages in lots with confirms, and streams of messages."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from pika.exceptions import AMQPError

from dlq.brokers.rabbit_wire import Delivery, Outgoing, explain, fail, settle
from dlq.errors import BrokerError, BrokerUnreachableError, DlqError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from dlq.brokers.rabbit_wire import RabbitWire


@dataclass(slots=True, eq=False)
class _Lot:
    """Messages that were published together."""

    future: Future[Any]
    left: int
    returned: list[int] = field(default_factory=list)


class Publisher:
    """Publishes in lots and learns of each message whether the broker has it: confirms, with many under way."""

    def __init__(self, wire: RabbitWire) -> None:
        """Open a channel in confirm mode."""
        self._wire = wire
        self._channel = wire.channel("open a channel")
        self._tag = 0
        self._open: OrderedDict[int, tuple[_Lot, int, Outgoing]] = OrderedDict()
        ready = wire.future()

        def begin() -> None:
            self._channel.add_on_return_callback(self._on_return)
            self._channel.add_on_close_callback(self._on_close)
            self._channel.confirm_delivery(self._on_confirm, callback=lambda _: settle(ready, None))

        wire.soon(begin)
        wire.wait("ask for confirms", ready)

    def publish(self, messages: Sequence[Outgoing]) -> Future[Any]:
        """Publish messages; the future gives the places of those that no queue took, and fails if one was refused."""
        future = self._wire.future()
        if not messages:
            settle(future, [])
            return future
        lot = _Lot(future, len(messages))

        def send() -> None:
            try:
                for place, message in enumerate(messages):
                    self._tag += 1
                    self._open[self._tag] = (lot, place, message)
                    self._channel.basic_publish(
                        message.exchange, message.routing_key, message.body, message.properties, mandatory=True
                    )
            except (AMQPError, OSError) as exc:
                fail(future, BrokerUnreachableError(f"publish: {exc}"))

        self._wire.soon(send)
        return future

    def _on_return(self, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        """Find the returned message: a return comes before the confirm, in the order of publishing."""
        for lot, place, message in self._open.values():
            if message.body == body and message.routing_key == method.routing_key and place not in lot.returned:
                lot.returned.append(place)
                return

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        for tag in self._confirmed(method.delivery_tag, multiple=method.multiple):
            lot, _, _ = self._open.pop(tag)
            lot.left -= 1
            if method.NAME == "Basic.Nack":
                fail(lot.future, BrokerError("RabbitMQ refused a message (nack): the queue is full, or has failed."))
            elif not lot.left:
                settle(lot.future, sorted(lot.returned))

    def _confirmed(self, last: int, *, multiple: bool) -> list[int]:
        if not multiple:
            return [last]
        return list(takewhile(lambda tag: tag <= last, self._open))

    def _on_close(self, _channel: Any, reason: Exception) -> None:
        for lot, _, message in self._open.values():
            fail(lot.future, explain(reason, "publish", message.exchange or message.routing_key))
        self._open.clear()


class Stream:
    """The messages of a queue in their order, none of them acknowledged until that is said."""

    def __init__(self, wire: RabbitWire, queue: str, prefetch: int) -> None:
        """Begin to consume, with at most `prefetch` messages on their way or unacknowledged."""
        self._wire = wire
        self._queue = queue
        self._arrived: deque[Delivery] = deque()
        self._news = threading.Condition()
        self._lost: DlqError | None = None
        self._channel = wire.channel(f"consume {queue}")
        self._wire.soon(lambda: self._channel.add_on_close_callback(self._on_close))
        self.widen(prefetch)

    @property
    def waiting(self) -> int:
        """Count the messages that have come and were not asked for."""
        return len(self._arrived)

    def widen(self, by: int) -> None:
        """Let that many more messages be unacknowledged from now on.

        It takes one more consumer on the channel: a prefetch holds for consumers that begin after it, and cancelling
        the others would give back what is on its way, out of order.
        """
        started = self._wire.future()

        def consume(_frame: Any) -> None:
            self._channel.basic_consume(self._queue, self._on_message, callback=lambda _: settle(started, None))

        self._wire.soon(lambda: self._channel.basic_qos(prefetch_count=by, callback=consume))
        self._wire.wait(f"consume {self._queue}", started)

    def next(self, patience: float) -> Delivery | None:
        """Wait for the next message, `patience` seconds at most."""
        with self._news:
            if not self._arrived and self._lost is None:
                self._news.wait(patience)
            if self._arrived:
                return self._arrived.popleft()
            if self._lost is not None:
                raise self._lost
            return None

    def acknowledge(self, tag: int) -> None:
        """Acknowledge all messages up to this one."""
        self._wire.soon(lambda: self._channel.basic_ack(tag, multiple=True))

    def settle_each(self, tags: Sequence[int], *, back: bool) -> None:
        """Acknowledge single messages, or give them back."""

        def send() -> None:
            for tag in tags:
                if back:
                    self._channel.basic_nack(tag, requeue=True)
                else:
                    self._channel.basic_ack(tag)

        self._wire.soon(send)

    def close(self) -> None:
        """Give back what is not acknowledged, and wait for it: it takes its old place where the broker can do that."""
        if self._lost is not None:
            return
        with suppress(DlqError):
            done = self._wire.future()
            self._wire.soon(lambda: self._cancel(done))
            self._wire.wait(f"give {self._queue} back", done)
            self._wire.soon(lambda: self._channel.close() if self._channel.is_open else None)

    def _cancel(self, done: Future[Any]) -> None:
        """Cancel the consumers, then give all back; a question to the queue behind that is answered when it has it."""
        tags = list(self._channel.consumer_tags)

        def cancelled(_frame: Any) -> None:
            tags.pop()
            if not tags:
                self._channel.basic_nack(0, multiple=True, requeue=True)
                self._channel.queue_declare(self._queue, passive=True, callback=lambda _: settle(done, None))

        for tag in list(tags):
            self._channel.basic_cancel(tag, callback=cancelled)

    def _on_message(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        with self._news:
            self._arrived.append(Delivery(method.delivery_tag, method.redelivered, properties, body))
            self._news.notify()

    def _on_close(self, _channel: Any, reason: Exception) -> None:
        with self._news:
            self._lost = explain(reason, f"consume {self._queue}", self._queue)
            self._news.notify()
