"""The runbook as Prefect flows: one file a chapter."""
