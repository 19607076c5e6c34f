"""Fixtures of the integration tests: the one Prefect server that all tests of flows share."""

from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Run one Prefect server for the session, with a database of its own; the harness must never be nested."""
    with prefect_test_harness(server_startup_timeout=120):
        yield
