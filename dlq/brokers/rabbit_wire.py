"""One connection to RabbitMQ, worked by a thread of its own, so that it beats while the caller thinks or waits.

https://www.rabbitmq.com/docs/confirms and https://www.rabbitmq.com/docs/consumer-prefetch
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any, Final

from pika.exceptions import AMQPError, ChannelClosedByBroker, ProbableAuthenticationError

from dlq.brokers.rabbit_address import parameters_of
from dlq.brokers.rabbit_frames import FrameConnection
from dlq.errors import AuthError, BrokerBusyError, BrokerError, BrokerUnreachableError, DlqError, QueueMissingError

_NOT_FOUND: Final = 404
_REFUSED: Final = 403
_FAILED: Final = 406  # PRECONDITION_FAILED
_BLOCKED_SECONDS: Final = 300.0  # for one answer of a broker that says that it takes nothing now


class RabbitWire:
    """The connection. Every method may be called from any thread; errors are those of `dlq.errors`."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        """Prepare; the first call connects. `timeout` is for one answer, in seconds."""
        self._parameters = parameters_of(url)
        self._parameters.socket_timeout = min(timeout, 10.0)
        self._timeout = timeout
        self._connection: Any = None
        self._thread: threading.Thread | None = None
        self._waiting: set[Future[Any]] = set()
        self._lost: DlqError | None = None
        self._blocked = False
        self._scratch: Any = None
        self._counting: tuple[Future[Any], str, str] | None = None

    def wait(self, what: str, future: Future[Any]) -> Any:
        """Wait for an answer that comes by the thread; give up when the connection is lost, or after the time-out.

        A broker that is short of memory or disk says so, and gets minutes. https://www.rabbitmq.com/docs/alarms
        """
        waited = 0.0
        while True:
            before = self._blocked
            try:
                return future.result(self._timeout)
            except FutureTimeoutError as exc:
                waited += self._timeout
                if (before or self._blocked) and waited < _BLOCKED_SECONDS:
                    continue  # what was published is taken when the alarm is over: sending it again would double it
                blocked = self._blocked
                self.close()
                if blocked:
                    raise BrokerBusyError(
                        f"{what}: RabbitMQ takes no messages, being short of memory or disk."
                    ) from exc
                raise BrokerUnreachableError(f"{what}: RabbitMQ did not answer within {waited:.0f} s.") from exc

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
            fail(counted, explain(reason, what, queue))

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
        self._lost, self._blocked = None, False
        connection = FrameConnection(
            self._parameters,
            on_open_callback=lambda _: settle(opened, None),
            on_open_error_callback=lambda connection, exc: self._down(connection, opened, exc),
            on_close_callback=lambda connection, exc: self._down(connection, opened, exc),
        )
        connection.add_on_connection_blocked_callback(lambda *_: self._block(blocked=True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._block(blocked=False))
        self._connection = connection
        self._thread = threading.Thread(target=_work, args=(connection.ioloop,), name="dlq-rabbit", daemon=True)
        self._thread.start()
        self.wait("connecting", opened)

    def _block(self, *, blocked: bool) -> None:
        """Remember whether the broker takes what is published."""
        self._blocked = blocked

    def _down(self, connection: Any, opened: Future[Any], reason: Exception) -> None:
        """Fail all that waits, and end the thread's loop."""
        lost = explain(reason, "the connection" if opened.done() else "connecting", "")
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


def explain_reading(reason: Exception, what: str, queue: str) -> DlqError:
    """Name the end of a channel that consumes, which a broker also closes when something is held for too long.

    Then all of it is back in its queue, as after a lost connection. https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout
    """
    if isinstance(reason, ChannelClosedByBroker) and reason.reply_code == _FAILED:
        return BrokerUnreachableError(
            f"{what}: RabbitMQ took back what was held, most likely for longer than its consumer_timeout"
            f" ({reason.reply_text})."
        )
    return explain(reason, what, queue)


def explain(reason: Exception, what: str, queue: str) -> DlqError:
    """Name a failure of RabbitMQ in our words."""
    if isinstance(reason, ProbableAuthenticationError):
        return AuthError(f"{what}: RabbitMQ refused the credentials.")
    if isinstance(reason, ChannelClosedByBroker):
        if reason.reply_code == _NOT_FOUND:
            return QueueMissingError(f"{what}: RabbitMQ has no {queue or 'such queue or exchange'}.")
        if reason.reply_code == _REFUSED:
            return AuthError(f"{what}: the user lacks a permission ({reason.reply_text}).")
        return BrokerError(f"{what}: RabbitMQ closed the channel ({reason.reply_code} {reason.reply_text}).")
    cause = _cause(reason)
    if isinstance(cause, ssl.SSLError):
        said = getattr(cause, "verify_message", "") or cause.reason
        return BrokerUnreachableError(f"{what}: TLS to RabbitMQ failed ({said}); `cacertfile` in its address helps.")
    return BrokerUnreachableError(f"{what}: RabbitMQ does not answer ({cause!r}).")


def _cause(reason: Exception) -> Exception:
    """Unwrap what happened from what pika says that it was doing at the time."""
    while True:
        inner = [*getattr(reason, "exceptions", ()), getattr(reason, "exception", None), *reason.args]
        found = next((each for each in reversed(inner) if isinstance(each, Exception)), None)
        if found is None:
            return reason
        reason = found
