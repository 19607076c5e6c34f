"""`python -m dlq` is the `dlq` command."""

from dlq.cli import main

main()
