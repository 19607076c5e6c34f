"""What goes over the channels of a RabbitMQ connection: messages in lots with confirms, and streams of messages."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.rabbit_frames import Confirms, Incoming, publish_frames, take_frames, unpacked, write
from dlq.brokers.rabbit_wire import explain, explain_reading, fail, settle
from dlq.errors import BrokerError, BrokerUnreachableError, DlqError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from dlq.brokers.rabbit_frames import Delivery, Outgoing
    from dlq.brokers.rabbit_wire import RabbitWire

_MOMENT: Final = 0.03  # seconds: messages come a few at a time, and waking up for each few costs more than they do


@dataclass(slots=True, eq=False)
class _Lot:
    """Messages that were published together, and the part of them that is confirmed."""

    future: Future[Any]
    messages: Sequence[Outgoing]
    first: int
    """The delivery tag of the first; they count up from there."""
    upto: int
    """All tags up to this one are confirmed."""
    single: set[int] = field(default_factory=set)
    """The tags beyond that are confirmed, too."""
    returned: list[int] = field(default_factory=list)

    @property
    def last(self) -> int:
        """Give the tag of the last message."""
        return self.first + len(self.messages) - 1

    def is_open(self, place: int) -> bool:
        """Say whether the message at a place is not confirmed yet."""
        return self.first + place > self.upto and self.first + place not in self.single

    def confirm(self, tag: int, *, multiple: bool) -> None:
        """Take a confirm in: of one message, or of all up to it."""
        if multiple:
            self.upto = max(self.upto, min(tag, self.last))
        else:
            self.single.add(tag)
        while self.upto + 1 in self.single:
            self.upto += 1
            self.single.discard(self.upto)


class Publisher:
    """Publishes in lots and learns of each message whether the broker has it: confirms, with many under way."""

    def __init__(self, wire: RabbitWire) -> None:
        """Open a channel in confirm mode."""
        self._wire = wire
        self._channel = wire.channel("open a channel")
        self._tag = 0
        self._open: deque[_Lot] = deque()
        self._returned = 0  # the last tag that was
        ready = wire.future()

        def begin() -> None:
            take_frames(self._channel, Confirms(self._on_confirm))
            self._channel.add_on_return_callback(self._on_return)
            self._channel.add_on_close_callback(self._on_close)
            # pika wants a callback for confirms, but never sees one: they are taken before it.
            self._channel.confirm_delivery(lambda _: None, callback=lambda _: settle(ready, None))

        wire.soon(begin)
        wire.wait("ask for confirms", ready)

    def publish(self, messages: Sequence[Outgoing]) -> Future[Any]:
        """Publish messages; the future gives the places of those that no queue took, and fails if one was refused."""
        future = self._wire.future()
        if not messages:
            settle(future, [])
            return future
        frames = publish_frames(self._channel, messages)

        def send() -> None:
            if not self._channel.is_open:
                fail(future, BrokerUnreachableError("publish: RabbitMQ has closed the channel."))
                return
            self._open.append(_Lot(future, messages, self._tag + 1, self._tag))
            self._tag += len(messages)
            write(self._channel, frames)

        self._wire.soon(send)
        return future

    def _on_return(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        """Find the returned message: a return comes before its confirm, and returns in the order of publishing.

        Messages that are alike in all of it are one as good as the other; all but that must not be confused, or one
        would be acknowledged that is nowhere.
        """
        said = (method.exchange, method.routing_key, body)
        alike = [
            (lot, place)
            for lot in self._open
            for place in range(max(lot.upto, self._returned) + 1 - lot.first, len(lot.messages))
            if lot.is_open(place) and said == (*lot.messages[place][:2], lot.messages[place].body)
        ]
        same = (found for found in alike if vars(unpacked(found[0].messages[found[1]].header)) == vars(properties))
        lot, place = next(same, alike[0] if len(alike) == 1 else (None, 0))
        if lot is None:  # never seen; nothing that is under way may be acknowledged then
            self._fail_all(BrokerError("RabbitMQ returned a message, and it is not known which."))
            return
        lot.returned.append(place)
        self._returned = lot.first + place

    def _on_confirm(self, tag: int, multiple: bool, refused: bool) -> None:  # noqa: FBT001 - as the protocol has it
        for lot in self._open:
            if lot.first > tag:
                break
            if multiple or tag <= lot.last:
                lot.confirm(tag, multiple=multiple)
                if refused:
                    error = BrokerError("RabbitMQ refused a message (nack): the queue is full, or has failed.")
                    fail(lot.future, error)
        while self._open and self._open[0].upto == self._open[0].last:
            lot = self._open.popleft()
            settle(lot.future, lot.returned)

    def _on_close(self, _channel: Any, reason: Exception) -> None:
        for lot in self._open:
            message = lot.messages[0]
            fail(lot.future, explain(reason, "publish", message.exchange or message.routing_key))
        self._open.clear()

    def _fail_all(self, error: DlqError) -> None:
        for lot in self._open:
            fail(lot.future, error)


class Stream:
    """The messages of a queue in their order, none of them acknowledged until that is said."""

    def __init__(self, wire: RabbitWire, queue: str, prefetch: int) -> None:
        """Begin to consume, with at most `prefetch` messages on their way or unacknowledged."""
        self._wire = wire
        self._queue = queue
        self._arrived: list[Delivery] = []
        self._news = threading.Condition()
        self._wanted = 1  # messages that whoever waits would like to have at once
        self._lost: DlqError | None = None
        self._times: deque[tuple[float, int]] = deque()  # when messages came, and how many had come then
        self._came = 0
        self._channel = wire.channel(f"consume {queue}")

        def begin() -> None:
            take_frames(self._channel, Incoming(self._on_messages))
            self._channel.add_on_close_callback(self._on_close)
            self._channel.add_on_cancel_callback(self._on_cancel)

        wire.soon(begin)
        self.widen(prefetch)

    @property
    def waiting(self) -> int:
        """Count the messages that have come and were not asked for."""
        return len(self._arrived)

    def age(self, settled: int) -> float:
        """Give the seconds since the oldest message came that is not among the first `settled`; 0 without one."""
        with self._news:
            while self._times and self._times[0][1] <= settled:
                self._times.popleft()
            return time.monotonic() - self._times[0][0] if self._times else 0.0

    def widen(self, by: int) -> None:
        """Let that many more messages be unacknowledged from now on.

        It takes one more consumer on the channel: a prefetch holds for consumers that begin after it, and cancelling
        the others would give back what is on its way, out of order.
        """
        if self._lost is not None:
            raise self._lost
        started = self._wire.future()

        def consume(_frame: Any) -> None:
            self._channel.basic_consume(self._queue, _never, callback=lambda _: settle(started, None))

        self._wire.soon(lambda: self._channel.basic_qos(prefetch_count=by, callback=consume))
        self._wire.wait(f"consume {self._queue}", started)

    def some(self, patience: float, wanted: int = 1) -> list[Delivery]:
        """Give all messages that have come; wait for one, `patience` seconds at most, and a moment for `wanted`."""
        with self._news:
            self._wanted = 1
            if not self._arrived and self._lost is None:
                self._news.wait(patience)
            if 0 < len(self._arrived) < wanted and self._lost is None:
                self._wanted = wanted
                self._news.wait(_MOMENT)
            if not self._arrived and self._lost is not None:
                raise self._lost
            found, self._arrived = self._arrived, []
            return found

    def count(self) -> int:
        """Count what is ready in the queue; whatever was delivered before has come when this returns."""
        counted = self._wire.future()

        def ask() -> None:
            if self._channel.is_open:
                self._channel.queue_declare(
                    self._queue, passive=True, callback=lambda frame: settle(counted, frame.method.message_count)
                )
            else:
                fail(counted, self._lost or BrokerUnreachableError(f"count {self._queue}: the channel is closed."))

        self._wire.soon(ask)
        return int(self._wire.wait(f"count {self._queue}", counted))

    def acknowledge(self, tag: int) -> None:
        """Acknowledge all messages up to this one. Whether the broker heard it, `count` tells: it is answered later."""
        if self._lost is not None:
            raise self._lost
        self._wire.soon(lambda: self._channel.basic_ack(tag, multiple=True) if self._channel.is_open else None)

    def settle_each(self, tags: Sequence[int], *, back: bool) -> None:
        """Acknowledge single messages, or give them back."""

        def send() -> None:
            for tag in tags if self._channel.is_open else ():
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

    def _on_messages(self, messages: list[Delivery]) -> None:
        with self._news:
            self._came += len(messages)
            self._times.append((time.monotonic(), self._came))
            self._arrived += messages
            if len(self._arrived) >= self._wanted:
                self._news.notify()

    def _on_cancel(self, _frame: Any) -> None:
        """Take what the broker says of its own accord: the queue is gone, or has moved to another node."""
        with self._news:
            self._lost = BrokerUnreachableError(f"consume {self._queue}: RabbitMQ has cancelled the consumer.")
            self._news.notify()

    def _on_close(self, _channel: Any, reason: Exception) -> None:
        with self._news:
            self._lost = explain_reading(reason, f"consume {self._queue}", self._queue)
            self._news.notify()


def _never(*_said: Any) -> None:
    """Take no message: they are taken as frames, before pika would call this."""
