"""Breaks the code under each operator's journey on purpose, and demands that the journey fails: `make sabotage`."""
