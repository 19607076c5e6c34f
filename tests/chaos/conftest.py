"""Fixtures of the chaos tests, and the summary of their counts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlq.embedded.redis import EmbeddedRedis
from tests.chaos.other_worlds import ClusterWorld, RabbitWorld
from tests.chaos.truth import Counts, World
from tests.servers import ServerFactory, find_redis_server

_COUNTS = "chaos counts"
_REPORT = Path("build") / "chaos.json"
Judge = Callable[[Counts], None]


@pytest.fixture
def flavour() -> str:
    """Run on redis-server where there is one: the faults are the engine's business, not the server's."""
    return "redis" if find_redis_server() else "embedded"


@pytest.fixture
def world(server: EmbeddedRedis) -> Iterator[World]:
    """Give the session's server, empty, with the keys of one queue."""
    world = World(server.url)
    yield world
    world.client.close()


@pytest.fixture
def own_server(private_server: ServerFactory) -> EmbeddedRedis:
    """Start a server that writes each command to disk before it answers."""
    return private_server(appendonly="yes", appendfsync="always")


@pytest.fixture
def own_world(own_server: EmbeddedRedis) -> Iterator[World]:
    """Give a server of the test's own."""
    world = World(own_server.url)
    yield world
    world.client.close()


@pytest.fixture(params=["redis cluster", "classic", "quorum"])
def other_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Give the session's cluster, then its RabbitMQ with either kind of queue, empty."""
    world: ClusterWorld | RabbitWorld
    if request.param == ClusterWorld.broker:
        world = ClusterWorld(request.getfixturevalue("redis_cluster"))
    else:
        world = RabbitWorld(
            request.getfixturevalue("rabbit_server"), request.getfixturevalue("redis_server"), request.param
        )
    yield world
    world.close()


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    """Add counts to the summary, then insist that nothing was lost, duplicated or unexpected."""
    others = "other_world" in request.fixturenames
    broker: str = request.getfixturevalue("other_world").broker if others else World.broker

    def check(counts: Counts) -> None:
        # A property of the test gets to the summary from a worker process too.
        request.node.user_properties.append((_COUNTS, (broker, counts.as_dict())))
        assert (counts.lost, counts.duplicated, counts.unexpected) == (0, 0, 0), counts.as_dict()

    return check


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the counts and write them to build/chaos.json."""
    found = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == _COUNTS
    ]
    if not found:
        return
    total: dict[str, Counts] = {}
    for broker, counts in found:
        total.setdefault(broker, Counts()).add(Counts(**counts))
    terminalreporter.section("chaos")
    for broker, sums in total.items():
        told = ", ".join(f"{name} {count:,}" for name, count in sums.as_dict().items())
        terminalreporter.line(f"{broker}: {told}")
    folder = config.rootpath / _REPORT
    folder.parent.mkdir(exist_ok=True)
    folder.write_text(
        json.dumps({broker: sums.as_dict() for broker, sums in total.items()}, indent=2) + "\n", encoding="utf-8"
    )
