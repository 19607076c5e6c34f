"""What outlives a run: its ledger, and the notebook, timeline and alerts of its queue."""
