"""Breaks the code under the closed loop's journeys on purpose, and demands that each fails: `make sabotage`."""
