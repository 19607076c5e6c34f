"""What can be configured: settings of every system, the queues, and the runbook's tables."""
