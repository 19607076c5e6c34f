"""The brokers: one file an adapter, none imports another."""
