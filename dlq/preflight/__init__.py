"""What is looked at before anything moves."""

from dlq.preflight.findings import Check, Preflight, Result
from dlq.preflight.looking import Ask, preflight

__all__ = ["Ask", "Check", "Preflight", "Result", "preflight"]
