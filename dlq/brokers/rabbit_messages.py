"""What of a RabbitMQ message outlives its move: its properties and headers, and where it was meant to go."""

from __future__ import annotations

import struct
from copy import copy
from typing import TYPE_CHECKING, Any, Final

import pika

from dlq.brokers.rabbit_wire import Outgoing

if TYPE_CHECKING:
    from dlq.brokers.rabbit_wire import Delivery

DUPLICATE: Final = "x-dlq-drain-duplicate"
"""The header of a message that may have been moved before: the run and batch that were interrupted."""
_COUNTED: Final = "x-delivery-count"  # a quorum queue's own; it begins anew with each message
_LENGTH: Final = struct.Struct("<I")


def pack(delivery: Delivery) -> bytes:
    """Write a message with its properties, as the ledger keeps originals."""
    properties = b"".join(delivery.properties.encode())
    return _LENGTH.pack(len(properties)) + properties + delivery.body


def unpack(original: bytes) -> tuple[Any, bytes]:
    """Read a kept original: (properties, body)."""
    start = _LENGTH.size
    end = start + _LENGTH.unpack_from(original)[0]
    properties = pika.BasicProperties()
    properties.decode(original[start:end])
    return properties, original[end:]


def to_queue(queue: str, properties: Any, body: bytes, duplicate_of: str = "") -> Outgoing:
    """Send a message to a queue by its name."""
    return Outgoing("", queue, _properties(properties, duplicate_of), body)


def to_origin(queue: str, properties: Any, body: bytes, duplicate_of: str = "") -> Outgoing:
    """Send a message to where it was published before it died; to the queue if it does not say.

    https://www.rabbitmq.com/docs/dlx#effects
    """
    deaths = (properties.headers or {}).get("x-death") or []
    if deaths and deaths[0].get("routing-keys"):
        goal = (deaths[0].get("exchange", ""), deaths[0]["routing-keys"][0])
        return Outgoing(*goal, _properties(properties, duplicate_of), body)
    return to_queue(queue, properties, body, duplicate_of)


def _properties(properties: Any, duplicate_of: str) -> Any:
    """Keep all properties and headers, but for the broker's own count of deliveries."""
    headers = dict(properties.headers or {})
    counted = headers.pop(_COUNTED, None) is not None
    if duplicate_of:
        headers[DUPLICATE] = duplicate_of
    if not counted and not duplicate_of:
        return properties
    changed = copy(properties)
    changed.headers = headers
    return changed
