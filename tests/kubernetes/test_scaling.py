"""Workers are scaled to the runbook's counts, and back to what was there before."""

from collections.abc import Callable
from typing import Any

import pytest

from dlq.actions.book import Action, Book, State
from dlq.actions.scale import put_back, scale_up, start_workers, stop_workers
from dlq.errors import ClusterConflictError, ClusterError, ClusterNotFoundError, ClusterSilentError
from dlq.records.notebook import Notebook
from dlq.records.timeline import timeline
from dlq.systems.cluster import scaling
from dlq.systems.cluster.connection import Cluster
from tests.kubernetes.worlds import World, eventually

WORKERS = "webhook-workers"


@pytest.fixture
def book(notebook: Notebook) -> Book:
    """Begin the actions of a run."""
    return Book(notebook, "run-1", "ada")


def up(cluster: Cluster, book: Book, count: int = 10) -> Action:
    """Scale up; there was something to do."""
    action = scale_up(cluster, book, WORKERS, count, 60)
    assert action is not None
    return action


def test_scale_up_and_back(world: World, cluster: Cluster, book: Book, notebook: Notebook) -> None:
    """Three become ten and three again; the timeline says so, and who asked."""
    world.deploy(WORKERS, 3)
    action = up(cluster, book)
    assert (action.before, action.after, action.state, action.note) == (3, 10, State.DONE, "")
    assert scaling.wait_ready(cluster, WORKERS, 10, 0).reached
    undone = put_back(cluster, book, action)
    assert undone.state is State.UNDONE
    assert scaling.replicas(cluster, WORKERS) == 3
    assert [(event.kind, event.who) for event in timeline(notebook, "run-1")] == [("action", "ada")] * 2


def test_enough_workers_are_left_alone(world: World, cluster: Cluster, book: Book) -> None:
    """A queue that has more than the target is not scaled down by a scale-up, and nothing is to be undone."""
    world.deploy(WORKERS, 4)
    assert scale_up(cluster, book, WORKERS, 4, 60) is None
    assert (scaling.replicas(cluster, WORKERS), book.actions()) == (4, [])


def test_a_retry_keeps_the_count_from_before(world: World, cluster: Cluster, book: Book) -> None:
    """A process that dies after the scaling, before it wrote that down, scales back to 3 and not to 10."""
    world.deploy(WORKERS, 3)
    book.intend(f"scale:{WORKERS}", "scale", WORKERS, 3, 10)
    world.scale(WORKERS, 10)
    action = up(cluster, book)
    assert (action.before, action.state) == (3, State.DONE)
    put_back(cluster, book, action)
    assert scaling.replicas(cluster, WORKERS) == 3


def test_a_second_call_does_nothing(world: World, cluster: Cluster, book: Book) -> None:
    """Not even when somebody has scaled down since: that was their decision."""
    world.deploy(WORKERS, 3)
    first = up(cluster, book)
    world.scale(WORKERS, 5)
    assert up(cluster, book) == first
    assert scaling.replicas(cluster, WORKERS) == 5


def test_what_somebody_else_set_is_not_undone(world: World, cluster: Cluster, book: Book) -> None:
    """It is said instead."""
    world.deploy(WORKERS, 3)
    action = up(cluster, book)
    world.scale(WORKERS, 12)
    left = put_back(cluster, book, action)
    assert (left.state, left.note) == (State.LEFT, "somebody set 12 since")
    assert scaling.replicas(cluster, WORKERS) == 12


def test_an_autoscaler_is_respected(world: World, cluster: Cluster, book: Book) -> None:
    """Its minimum is raised and put back; the autoscaler itself then scales the workers."""
    world.deploy(WORKERS, 3)
    world.autoscale(WORKERS, 2, 20)
    action = up(cluster, book)
    assert (action.kind, action.target, action.before) == ("autoscaler-minimum", f"{WORKERS}-hpa", 2)
    assert world.minimum(WORKERS) == 10
    assert (action.note, scaling.replicas(cluster, WORKERS)) == ("", 10)
    assert put_back(cluster, book, action).state is State.UNDONE
    assert world.minimum(WORKERS) == 2


def test_an_autoscaler_is_not_pushed_over_its_maximum(world: World, cluster: Cluster, book: Book) -> None:
    """The minimum goes to the maximum; one without a minimum counts as 1."""
    world.deploy(WORKERS, 1)
    world.autoscale(WORKERS, None, 4)
    action = up(cluster, book)
    assert (action.before, action.after, world.minimum(WORKERS)) == (1, 4, 4)


def test_stop_the_drain_and_start_again(world: World, cluster: Cluster, book: Book) -> None:
    """All workers stop, and the same number starts; also with an autoscaler, which a count of 0 switches off."""
    world.deploy(WORKERS, 3)
    world.autoscale(WORKERS, 2, 20)
    stopped = stop_workers(cluster, book, WORKERS, 60)
    assert (stopped.before, stopped.note, scaling.replicas(cluster, WORKERS)) == (3, "", 0)
    started = start_workers(cluster, book, WORKERS, 7, 60)
    assert started is not None
    assert started.state is State.UNDONE
    assert scaling.replicas(cluster, WORKERS) == 3


def test_workers_that_were_stopped_before_start_with_the_usual_count(
    world: World, cluster: Cluster, book: Book
) -> None:
    """Where the count from before was 0 already, the configured one is used."""
    world.deploy(WORKERS, 0)
    stop_workers(cluster, book, WORKERS, 60)
    start_workers(cluster, book, WORKERS, 2, 60)
    assert scaling.replicas(cluster, WORKERS) == 2


def test_workers_that_do_not_become_ready_are_reported(world: World, cluster: Cluster) -> None:
    """The wait has a limit, and the note says how many are ready."""
    world.deploy(WORKERS, 1, "never:1")
    wait = scaling.wait_ready(cluster, WORKERS, 1, 0.3)
    assert (wait.ready, wait.reached) == (0, False)


def test_a_change_in_between_is_noticed(world: World, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody scales to 12 after we have read 3: the conflict (409) makes us look again, and leave 12."""
    world.deploy(WORKERS, 3)
    read: Callable[..., Any] = scaling._scale
    reads = []

    def read_then_disturb(*args: Any) -> Any:
        found = read(*args)
        if not reads:
            world.scale(WORKERS, 12)
        reads.append(found.spec.replicas)
        return found

    monkeypatch.setattr(scaling, "_scale", read_then_disturb)
    assert scaling.set_replicas(cluster, WORKERS, 10, lambda now: now < 10) == 12
    assert reads == [3, 12]


def test_endless_conflicts_end(world: World, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """With somebody who changes it each time we give up, and say so."""
    world.deploy(WORKERS, 3)
    read: Callable[..., Any] = scaling._scale

    def stale(*args: Any) -> Any:
        found = read(*args)
        found.metadata.resource_version = "1"
        return found

    monkeypatch.setattr(scaling, "_scale", stale)
    monkeypatch.setattr(scaling.time, "sleep", lambda _: None)
    with pytest.raises(ClusterConflictError, match="patch deployments/scale"):
        scaling.set_replicas(cluster, WORKERS, 10, lambda _: True)


def test_a_deployment_that_is_not_there(cluster: Cluster, book: Book) -> None:
    """The message names it, and where to look."""
    with pytest.raises(ClusterNotFoundError, match=r"deployments/scale webhook-workers.*DLQ_NAMESPACE"):
        scale_up(cluster, book, WORKERS, 10, 60)
    assert book.actions() == []


def test_a_count_that_the_server_refuses(world: World, cluster: Cluster) -> None:
    """A negative count is an error of its own (422), not a silent server."""
    world.deploy(WORKERS, 1)
    with pytest.raises(ClusterError, match="422"):
        scaling.set_replicas(cluster, WORKERS, -1, lambda _: True)


def test_an_api_server_that_falls_silent_in_the_middle(
    world: World, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It scaled, then it answers no more: the error passes, and the retry goes on with the count from before."""
    world.deploy(WORKERS, 3)
    wait = scaling.wait_ready
    quick = Cluster.of(world.settings(cluster_timeout=0.5))
    assert quick is not None

    def wait_in_silence(*args: Any) -> Any:
        with world.silent():
            return wait(*args)

    monkeypatch.setattr("dlq.actions.scale.wait_ready", wait_in_silence)
    with pytest.raises(ClusterSilentError, match="did not answer"):
        scale_up(quick, book, WORKERS, 10, 60)
    monkeypatch.undo()
    assert [action.state for action in book.actions()] == [State.INTENDED]
    again = Cluster.of(world.settings())
    assert again is not None
    eventually(lambda: scaling.replicas(again, WORKERS) == 10)
    action = up(again, book)
    assert (action.before, action.state) == (3, State.DONE)
    put_back(again, book, action)
    assert scaling.replicas(again, WORKERS) == 3
