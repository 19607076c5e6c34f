"""What of a RabbitMQ message outlives its move: its properties and headers, and where it was meant to go."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from dlq.brokers.rabbit_frames import Outgoing, packed, unpacked
from dlq.records.ledger import DUPLICATE

if TYPE_CHECKING:
    from dlq.brokers.rabbit_frames import Delivery

_COUNTED: Final = "x-delivery-count"  # a quorum queue's own; it begins anew with each message
_LENGTH: Final = struct.Struct("<I")


def pack(delivery: Delivery) -> bytes:
    """Write a message with its properties, as the ledger keeps originals."""
    return _LENGTH.pack(len(delivery.header)) + delivery.header + delivery.body


def unpack(original: bytes) -> tuple[bytes, bytes]:
    """Read a kept original: (properties, body)."""
    start = _LENGTH.size
    end = start + _LENGTH.unpack_from(original)[0]
    return original[start:end], original[end:]


def deliveries(delivery: Delivery) -> int:
    """Say how often a quorum queue had delivered a message before; 0 where nobody counts."""
    if not delivery.redelivered or _COUNTED.encode() not in delivery.header:
        return 0
    return int((delivery.properties.headers or {}).get(_COUNTED) or 0)


def to_queue(queue: str, header: bytes, body: bytes, duplicate_of: str = "") -> Outgoing:
    """Send a message to a queue by its name."""
    return Outgoing("", queue, _kept(header, duplicate_of), body)


def to_origin(queue: str, header: bytes, body: bytes, duplicate_of: str = "") -> Outgoing:
    """Send a message to where it was published before it died; to the queue if it does not say.

    https://www.rabbitmq.com/docs/dlx#effects
    """
    deaths = (unpacked(header).headers or {}).get("x-death") or []
    if deaths and deaths[0].get("routing-keys"):
        return Outgoing(deaths[0].get("exchange", ""), deaths[0]["routing-keys"][0], _kept(header, duplicate_of), body)
    return to_queue(queue, header, body, duplicate_of)


def _kept(header: bytes, duplicate_of: str) -> bytes:
    """Keep all properties and headers, but for the broker's own count of deliveries."""
    if not duplicate_of and _COUNTED.encode() not in header:
        return header
    properties = unpacked(header)
    headers = properties.headers = dict(properties.headers or {})
    headers.pop(_COUNTED, None)
    if duplicate_of:
        headers[DUPLICATE] = duplicate_of
    return packed(properties)
