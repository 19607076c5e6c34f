"""Real servers as child processes, for demos, benchmarks and tests."""
