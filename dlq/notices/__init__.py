"""Telling people: notices, and the channels that carry them."""

from dlq.notices.notice import Delivery, Notice, Reached
from dlq.notices.sending import deliveries, send

__all__ = ["Delivery", "Notice", "Reached", "deliveries", "send"]
