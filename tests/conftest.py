"""Fixtures for all tests: real servers on free loopback ports, each stopped by its process id."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

from dlq.embedded.rabbit import EmbeddedRabbit, find_rabbitmq
from dlq.embedded.redis import EmbeddedRedis
from tests.clusters import TestCluster
from tests.servers import FLAVOURS, ServerFactory, missing, new_server


def pytest_configure() -> None:
    """Let the programs that tests start hear the signals they are sent, also where the tests run in the background.

    What runs under nohup, or behind a shell's `&`, ignores them, and so would its children.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """Run one redis-server for the session."""
    with new_server("redis") as server:
        yield server


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedRedis]:
    """Run one server out of the wheel for the session."""
    with new_server("embedded") as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[TestCluster]:
    """Run one cluster of six redis-server processes for the session."""
    with TestCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[EmbeddedRabbit]:
    """Run one rabbitmq-server for the session."""
    if find_rabbitmq() is None:
        missing("rabbitmq-server")
    with EmbeddedRabbit() as server:
        yield server


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    """Name the kind of server; one only by `parametrize("flavour", ["redis"], indirect=True)`."""
    name: str = request.param
    return name


@pytest.fixture
def server(flavour: str, request: pytest.FixtureRequest) -> EmbeddedRedis:
    """Give the session's server of the flavour, empty. Change no settings of it: see `private_server`."""
    shared: EmbeddedRedis = request.getfixturevalue(f"{flavour}_server")
    with redis.Redis.from_url(shared.url) as client:
        client.flushall()
    return shared


@pytest.fixture
def private_server(flavour: str) -> Iterator[ServerFactory]:
    """Start servers for one test that restarts, kills, fills or replicates them."""
    with ExitStack() as stack:

        def start(**options: str | int) -> EmbeddedRedis:
            return stack.enter_context(new_server(flavour, **options))

        yield start


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Run one Prefect server for the session, with a database of its own; the harness must never be nested."""
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415 - most tests do without Prefect

    with prefect_test_harness(server_startup_timeout=120):
        yield
