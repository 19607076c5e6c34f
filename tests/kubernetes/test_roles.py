"""The shipped Roles are enough for what dlq-drain does, and for nothing else."""

from collections.abc import Iterator

import pytest

from dlq.actions.book import Book, State
from dlq.actions.scale import put_back, scale_up
from dlq.errors import ClusterError, ClusterForbiddenError
from dlq.records.notebook import Notebook
from dlq.systems.cluster.connection import Cluster
from dlq.systems.cluster.history import rollouts
from dlq.systems.cluster.state import read_workers
from tests.kubernetes import objects
from tests.kubernetes.worlds import World, eventually

WORKERS = "webhook-workers"


@pytest.fixture
def account(world: World) -> Iterator[Cluster]:
    """Connect as the account that the Roles are for."""
    connected = Cluster.of(world.settings(objects.ACCOUNT))
    assert connected is not None
    yield connected
    connected.close()


def allowed(account: Cluster) -> bool:
    """Tell whether the binding is in force; the API server takes a moment."""
    try:
        read_workers(account, WORKERS)
    except ClusterError:
        return False
    return True


def test_both_roles_are_enough(world: World, account: Cluster, notebook: Notebook) -> None:
    """State, history, scaling, the autoscaler and the way back: nothing is refused."""
    world.deploy(WORKERS, 2)
    world.autoscale(WORKERS, 1, 20)
    world.allow("dlq-drain-observer", "dlq-drain-scaler")
    eventually(lambda: allowed(account))
    state = read_workers(account, WORKERS)
    assert [note for note in state.notes if "lacks the verb" in note] == []
    assert len(rollouts(account, WORKERS)) == 1
    book = Book(notebook, "run-1")
    action = scale_up(account, book, WORKERS, 4, 60)
    assert action is not None
    assert put_back(account, book, action).state is State.UNDONE


def test_the_observer_may_not_scale(world: World, account: Cluster, notebook: Notebook) -> None:
    """The message names the verb that is missing, and the file that has it."""
    world.deploy(WORKERS, 2)
    world.allow("dlq-drain-observer")
    eventually(lambda: allowed(account))
    with pytest.raises(ClusterForbiddenError, match=r"lacks the verb get on deployments/scale.*roles\.yaml"):
        scale_up(account, Book(notebook, "run-1"), WORKERS, 4, 60)
    assert notebook.notes("run:run-1:actions") == {}


def test_the_scaler_alone_may_not_look(world: World, account: Cluster) -> None:
    """What cannot be read is a note, not a failure and not a zero."""
    world.deploy(WORKERS, 2)
    world.allow("dlq-drain-scaler")
    eventually(lambda: allowed(account))
    state = read_workers(account, WORKERS)
    assert (state.ready, state.restarts) == (2, None)
    assert "lacks the verb list on pods" in " ".join(state.notes)


def test_other_deployments_are_out_of_reach(world: World, account: Cluster, notebook: Notebook) -> None:
    """The Roles hold for the named workers only."""
    world.deploy(WORKERS, 1)
    world.deploy("payments", 1)
    world.allow("dlq-drain-observer", "dlq-drain-scaler")
    eventually(lambda: allowed(account))
    with pytest.raises(ClusterForbiddenError, match="get deployments payments"):
        read_workers(account, "payments")
    with pytest.raises(ClusterForbiddenError, match="get deployments/scale payments"):
        scale_up(account, Book(notebook, "run-1"), "payments", 4, 60)


def test_without_a_binding_everything_is_refused(world: World, account: Cluster) -> None:
    """And said as a missing verb."""
    world.deploy(WORKERS, 1)
    world.allow()
    with pytest.raises(ClusterForbiddenError, match="lacks the verb get on deployments"):
        read_workers(account, WORKERS)
