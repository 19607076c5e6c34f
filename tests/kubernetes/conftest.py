"""One suite, two clusters: a fake for speed, and with DLQ_TEST_KUBERNETES=real (`make test-kubernetes`) a real one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.records.notebook import Notebook
from dlq.systems.cluster.connection import Cluster
from tests.kubernetes import objects
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.real import RealCluster, real_cluster
from tests.kubernetes.worlds import FakeWorld, RealWorld, World
from tests.web_fake import web_fake

FLAVOURS = ("fake", "real") if os.environ.get("DLQ_TEST_KUBERNETES") == "real" else ("fake",)
CACHE = Path(os.environ.get("DLQ_KUBE_CACHE") or Path.home() / ".cache/dlq-drain/kubernetes")


@pytest.fixture(scope="session")
def cluster_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Run the real cluster for the session."""
    with real_cluster(tmp_path_factory.mktemp("kubernetes") / "cluster", CACHE / "bin") as running:
        core = client.CoreV1Api(running.api_client())
        core.create_namespace({"metadata": {"name": objects.NAMESPACE}})
        yield running


@pytest.fixture(params=FLAVOURS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Give an empty cluster."""
    if request.param == "fake":
        api = FakeApi()
        with web_fake(api.answer) as web:
            yield FakeWorld(api, web, tmp_path)
        return
    real = RealWorld(request.getfixturevalue("cluster_process"))
    try:
        yield real
    finally:
        real.clean()


@pytest.fixture
def cluster(world: World) -> Iterator[Cluster]:
    """Connect as admin."""
    connected = Cluster.of(world.settings())
    assert connected is not None
    yield connected
    connected.close()


@pytest.fixture
def notebook() -> Notebook:
    """Give an empty notebook."""
    return MemoryNotebook()
