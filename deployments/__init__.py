"""What runs around the flows."""
