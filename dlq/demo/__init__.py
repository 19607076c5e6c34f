"""The world of `dlq demo`: messages with a known truth, simulated workers, and the comparison at the end."""
