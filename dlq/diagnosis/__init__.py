"""Chapter 2 of the runbook, the root cause: what is known put side by side, and ranked guesses with their evidence.

Everything here is pure but `gather`, which asks the systems.
"""
