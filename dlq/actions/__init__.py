"""Chapter 3 of the runbook, the immediate actions: scale, raise concurrency, quarantine; each recorded and undoable."""
