"""One connection to RabbitMQ, worked by a thread of its own, so that it beats while the caller thinks or waits.

https://www.rabbitmq.com/docs/confirms and https://www.rabbitmq.com/docs/consumer-prefetch
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, NamedTuple

import pika
from pika.adapters.select_connection import SelectConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, ProbableAuthenticationError

from dlq.errors import AuthError, BrokerError, BrokerUnreachableError, DlqError, QueueMissingError

_NOT_FOUND: Final = 404
_REFUSED: Final = 403


class Delivery(NamedTuple):
    """A message that was delivered and is not yet acknowledged."""

    tag: int
    redelivered: bool
    properties: Any
    body: bytes


class Outgoing(NamedTuple):
    """A message to publish; `exchange` "" sends to the queue that the routing key names."""

    exchange: str
    routing_key: str
    properties: Any
    body: bytes


class RabbitWire:
    """The connection. Every method may be called from any thread; errors are those of `dlq.errors`."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        """Prepare; the first call connects. `timeout` is for one answer, in seconds."""
        self._parameters = pika.URLParameters(url)
        self._parameters.socket_timeout = min(timeout, 10.0)
        self._timeout = timeout
        self._connection: Any = None
        self._thread: threading.Thread | None = None
        self._waiting: set[Future[Any]] = set()
        self._lost: DlqError | None = None
        self._scratch: Any = None
        self._counting: tuple[Future[Any], str, str] | None = None

    def wait(self, what: str, future: Future[Any]) -> Any:
        """Wait for an answer that comes by the thread; give up when the connection is lost, or after the time-out."""
        try:
            return future.result(self._timeout)
        except FutureTimeoutError as exc:
            self.close()
            raise BrokerUnreachableError(f"{what}: RabbitMQ did not answer within {self._timeout:.0f} s.") from exc

    def future(self) -> Future[Any]:
        """Make a future that fails when the connection is lost."""
        self._connected()
        made: Future[Any] = Future()
        self._waiting.add(made)
        made.add_done_callback(self._waiting.discard)
        if self._lost is not None:
            fail(made, self._lost)
        return made

    def soon(self, call: Callable[[], None]) -> None:
        """Let the thread make a call."""
        self._connected()
        self._connection.ioloop.add_callback_threadsafe(call)

    def channel(self, what: str) -> Any:
        """Open a channel."""
        opened = self.future()
        self.soon(lambda: self._connection.channel(on_open_callback=lambda channel: settle(opened, channel)))
        return self.wait(what, opened)

    def count(self, what: str, queue: str) -> int:
        """Count the messages of a queue that are ready; QueueMissingError when there is none of this name."""
        return int(self._look(what, queue).message_count)

    def consumers(self, what: str, queue: str) -> int:
        """Count the consumers of a queue; QueueMissingError when there is none of this name."""
        return int(self._look(what, queue).consumer_count)

    def _look(self, what: str, queue: str) -> Any:
        """Ask for a queue, on a channel that is kept for such questions."""
        if self._scratch is None or not self._scratch.is_open:
            self._scratch = self.channel(what)
            self.soon(lambda: self._scratch.add_on_close_callback(self._on_scratch_closed))
        self._counting = (self.future(), what, queue)
        counted, channel = self._counting[0], self._scratch
        self.soon(
            lambda: channel.queue_declare(queue, passive=True, callback=lambda frame: settle(counted, frame.method))
        )
        return self.wait(what, counted)

    def _on_scratch_closed(self, _channel: Any, reason: Exception) -> None:
        """Tell the one who asked for a queue that there is not: the broker closes the channel for it."""
        if self._counting is not None:
            counted, what, queue = self._counting
            fail(counted, _explain(reason, what, queue))

    def declare(self, what: str, queue: str) -> None:
        """Make a durable queue, unless there is one of this name."""
        try:
            self.count(what, queue)
        except QueueMissingError:
            channel, made = self.channel(what), self.future()
            self.soon(lambda: channel.queue_declare(queue, durable=True, callback=lambda _: settle(made, None)))
            self.wait(what, made)
            self.soon(channel.close)

    def close(self) -> None:
        """Close the connection; what was not acknowledged goes back into its queue."""
        connection, thread, self._connection, self._thread = self._connection, self._thread, None, None
        self._scratch = None
        if connection is None:
            return
        with suppress(AMQPError):
            connection.ioloop.add_callback_threadsafe(lambda: connection.close() if connection.is_open else None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._timeout)

    def _connected(self) -> None:
        if self._connection is not None:
            return
        opened: Future[Any] = Future()
        self._lost = None
        connection = SelectConnection(
            self._parameters,
            on_open_callback=lambda _: settle(opened, None),
            on_open_error_callback=lambda connection, exc: self._down(connection, opened, exc),
            on_close_callback=lambda connection, exc: self._down(connection, opened, exc),
        )
        self._connection = connection
        self._thread = threading.Thread(target=_work, args=(connection.ioloop,), name="dlq-rabbit", daemon=True)
        self._thread.start()
        self.wait("connecting", opened)

    def _down(self, connection: Any, opened: Future[Any], reason: Exception) -> None:
        """Fail all that waits, and end the thread's loop."""
        lost = _explain(reason, "the connection" if opened.done() else "connecting", "")
        if connection is self._connection:
            self._connection, self._lost = None, lost
        for waiting in (opened, *self._waiting):
            fail(waiting, lost)
        connection.ioloop.stop()


def _work(loop: Any) -> None:
    """Run the loop of a connection to its end."""
    try:
        loop.start()
    finally:
        loop.close()


def settle(future: Future[Any], value: Any) -> None:
    """Give a future its value, unless it has failed meanwhile."""
    with suppress(InvalidStateError):
        future.set_result(value)


def fail(future: Future[Any], error: Exception) -> None:
    """Let a future fail, unless it has its value already."""
    with suppress(InvalidStateError):
        future.set_exception(error)


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
            fail(lot.future, _explain(reason, "publish", message.exchange or message.routing_key))
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
            self._lost = _explain(reason, f"consume {self._queue}", self._queue)
            self._news.notify()


def _explain(reason: Exception, what: str, queue: str) -> DlqError:
    """Name a failure of RabbitMQ in our words."""
    if isinstance(reason, ProbableAuthenticationError):
        return AuthError(f"{what}: RabbitMQ refused the credentials.")
    if isinstance(reason, ChannelClosedByBroker):
        if reason.reply_code == _NOT_FOUND:
            return QueueMissingError(f"{what}: RabbitMQ has no {queue or 'such queue or exchange'}.")
        if reason.reply_code == _REFUSED:
            return AuthError(f"{what}: the user lacks a permission ({reason.reply_text}).")
        return BrokerError(f"{what}: RabbitMQ closed the channel ({reason.reply_code} {reason.reply_text}).")
    return BrokerUnreachableError(f"{what}: RabbitMQ does not answer ({reason!r}).")
