"""The frames of messages on a connection to RabbitMQ, read and written with their properties left as they came.

pika takes every field of every message apart and puts it together again, which costs several times what the broker
does with it. A message that is only moved needs nothing of that. https://www.rabbitmq.com/amqp-0-9-1-protocol
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import pika
from pika import frame, spec
from pika.adapters.select_connection import SelectConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HEAD: Final = struct.Struct(">BHI")  # kind, channel, bytes of the payload
_CONTENT: Final = struct.Struct(">BHIHHQ")  # the same and the begin of a content header: class, weight, bytes of body
_SETTLED: Final = struct.Struct(">QB")  # delivery tag, multiple
_BASIC: Final = 60
_DELIVER: Final = b"\x00\x3c\x00\x3c"
_ACK: Final = b"\x00\x3c\x00\x50"
_NACK: Final = b"\x00\x3c\x00\x78"
_END: Final = b"\xce"
_METHOD, _HEADER, _BODY = 1, 2, 3
_OVERHEAD: Final = 8  # bytes of a frame beside its payload


class Delivery(NamedTuple):
    """A message that was delivered and is not yet acknowledged."""

    tag: int
    redelivered: bool
    header: bytes
    """Its properties as they lie in the frame: flags, then fields."""
    body: bytes

    @property
    def properties(self) -> Any:
        """Take the properties apart."""
        return unpacked(self.header)


class Outgoing(NamedTuple):
    """A message to publish; `exchange` "" sends to the queue that the routing key names."""

    exchange: str
    routing_key: str
    header: bytes
    body: bytes


class Taker(Protocol):
    """Takes the frames of a channel that concern it; pika gets the others."""

    def frame(self, kind: int, buffer: bytes, start: int, end: int) -> bool:
        """Take a frame, whose payload lies in the buffer from `start` to `end`; False leaves it to pika."""

    def pause(self) -> None:
        """Do what is to be done when all that has come was taken."""


class FrameConnection(SelectConnection):  # type: ignore[misc]  # pika has no types
    """A connection whose channels may have their frames taken by somebody else than pika.

    It stands on three names of pika's own that are not public (`_on_data_available`, `_process_frame` and
    `_trim_frame_buffer`); pyproject.toml bounds pika for that.
    """

    def __init__(self, *said: Any, **named: Any) -> None:
        """Begin to connect."""
        self.takers: dict[int, Taker] = {}
        self._frame_buffer: bytes
        super().__init__(*said, **named)

    def _on_data_available(self, data_in: bytes) -> None:
        if not self.takers:
            super()._on_data_available(data_in)
            return
        buffer: bytes = self._frame_buffer + data_in
        self._frame_buffer = buffer
        place, size = 0, len(buffer)
        while place + _HEAD.size <= size:
            kind, channel, length = _HEAD.unpack_from(buffer, place)
            start = place + _HEAD.size
            end = start + length
            if end >= size:
                break
            taker = self.takers.get(channel)
            if taker is None or not taker.frame(kind, buffer, start, end):
                _, found = frame.decode_frame(buffer[place : end + 1])
                if found is not None:
                    self._process_frame(found)
            place = end + 1
        self._trim_frame_buffer(place)
        for taker in tuple(self.takers.values()):
            taker.pause()


class Incoming:
    """Puts the messages of a consuming channel together."""

    def __init__(self, arrived: Callable[[list[Delivery]], None]) -> None:
        """Hand them on, several at once."""
        self._arrived = arrived
        self._whole: list[Delivery] = []
        self._tag, self._redelivered = 0, False
        self._header = b""
        self._left = 0
        self._parts: list[bytes] = []

    def frame(self, kind: int, buffer: bytes, start: int, end: int) -> bool:
        """Take the frames of deliveries: a method, a header, and as many bodies as it needs."""
        if kind == _BODY:
            self._parts.append(buffer[start:end])
            self._left -= end - start
            if not self._left:
                self._complete()
            return True
        if kind == _HEADER:
            self._left = int.from_bytes(buffer[start + 4 : start + 12], "big")
            self._header = buffer[start + 12 : end]
            if not self._left:
                self._complete()
            return True
        if not buffer.startswith(_DELIVER, start):
            return False
        place = start + 5 + buffer[start + 4]  # behind the consumer's tag
        self._tag, self._redelivered = int.from_bytes(buffer[place : place + 8], "big"), bool(buffer[place + 8])
        return True

    def pause(self) -> None:
        """Hand on what is complete."""
        if self._whole:
            whole, self._whole = self._whole, []
            self._arrived(whole)

    def _complete(self) -> None:
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._whole.append(Delivery(self._tag, self._redelivered, self._header, body))
        self._parts = []


class Confirms:
    """Takes the confirms of a publishing channel."""

    def __init__(self, confirmed: Callable[[int, bool, bool], None]) -> None:
        """Hand on (delivery tag, whether all up to it are meant, whether the broker refused)."""
        self._confirmed = confirmed

    def frame(self, kind: int, buffer: bytes, start: int, end: int) -> bool:  # noqa: ARG002 - a confirm ends by itself
        """Take acknowledgements and refusals; what is returned is left to pika."""
        if kind != _METHOD or not buffer.startswith((_ACK, _NACK), start):
            return False
        tag, multiple = _SETTLED.unpack_from(buffer, start + 4)
        self._confirmed(tag, bool(multiple & 1), buffer.startswith(_NACK, start))
        return True

    def pause(self) -> None:
        """Do nothing: every confirm is handed on at once."""


def take_frames(channel: Any, taker: Taker) -> None:
    """Let somebody take the frames of a channel, from the next one on; to be called in the connection's thread."""
    channel.connection.takers[channel.channel_number] = taker


def write(channel: Any, frames: bytes) -> None:
    """Write frames of an open channel; to be called in the connection's thread."""
    channel.connection._output_marshaled_frames([frames])  # noqa: SLF001 - pika has no other way in


def packed(properties: Any) -> bytes:
    """Write properties as they lie in a frame."""
    return b"".join(properties.encode())


def unpacked(header: bytes) -> Any:
    """Read properties as they lie in a frame."""
    properties = pika.BasicProperties()
    properties.decode(header)
    return properties


def publish_frames(channel: Any, messages: Sequence[Outgoing]) -> bytes:
    """Render `mandatory` messages as frames of a channel, none of them larger than was agreed with the broker."""
    number, frame_max = channel.channel_number, channel.connection.params.frame_max
    goals: dict[tuple[str, str], bytes] = {}
    parts: list[bytes] = []
    most = frame_max - _OVERHEAD
    for exchange, routing_key, header, body in messages:
        goal = goals.get((exchange, routing_key))
        if goal is None:
            method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
            goal = goals[exchange, routing_key] = frame.Method(number, method).marshal()
        size = len(body)
        parts += (goal, _CONTENT.pack(_HEADER, number, 12 + len(header), _BASIC, 0, size), header, _END)
        if size <= most:
            if size:
                parts += (_HEAD.pack(_BODY, number, size), body, _END)
            continue
        for start in range(0, size, most):
            some = body[start : start + most]
            parts += (_HEAD.pack(_BODY, number, len(some)), some, _END)
    return b"".join(parts)
