"""What is looked at before anything moves."""

from dlq.admission.preflight.findings import Check, Preflight, Result
from dlq.admission.preflight.looking import Ask, preflight

__all__ = ["Ask", "Check", "Preflight", "Result", "preflight"]
