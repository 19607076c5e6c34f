"""What `make bench` runs: dlq-drain beside the runbook's own procedures, on the same server in the same run."""
