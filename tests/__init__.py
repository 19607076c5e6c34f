"""Tests of dlq-drain."""
