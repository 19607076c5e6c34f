"""Telling people: notices, and the channels that carry them."""

from dlq.notices.incident import Incident, Question, State, Verdict
from dlq.notices.notice import Delivery, Notice, Reached
from dlq.notices.sending import deliveries, send, show, update_status_page

__all__ = [
    "Delivery",
    "Incident",
    "Notice",
    "Question",
    "Reached",
    "State",
    "Verdict",
    "deliveries",
    "send",
    "show",
    "update_status_page",
]
