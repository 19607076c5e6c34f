"""What is read of workers: replicas, restarts, memory kills, what they wait for, events, rollouts, logs."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from dlq.systems.cluster.connection import Cluster
from dlq.systems.cluster.history import rollouts
from dlq.systems.cluster.logs import worker_lines
from dlq.systems.cluster.state import read_workers
from dlq.systems.cluster.usage import read_usage
from tests.kubernetes.worlds import FakeWorld, World, eventually

WORKERS = "webhook-workers"


def test_healthy_workers(world: World, cluster: Cluster) -> None:
    """Counts, image and autoscaler; use of resources is unknown without a metrics server, and said to be."""
    world.deploy(WORKERS, 2)
    world.autoscale(WORKERS, 2, 8)
    state = read_workers(cluster, WORKERS)
    assert (state.desired, state.ready, state.restarts, state.memory_kills) == (2, 2, 0, ())
    assert (state.images, state.waiting) == (("workers:1",), {})
    assert state.autoscaler is not None
    assert (state.autoscaler.minimum, state.autoscaler.maximum) == (2, 8)
    assert state.usage is None
    assert state.notes == ("use of resources unknown: no metrics server answers",)


def test_workers_killed_for_memory(world: World, cluster: Cluster) -> None:
    """The pod, the time and the restarts are known."""
    world.deploy(WORKERS, 2)
    world.kill_for_memory(WORKERS, 9)
    state = read_workers(cluster, WORKERS)
    assert state.restarts == 9
    (kill,) = state.memory_kills
    assert kill.restarts == 9
    assert kill.at is not None
    assert datetime.now(UTC) - kill.at < timedelta(minutes=5)
    assert "1 killed for memory" in state.summary


def test_pods_that_do_not_start(world: World, cluster: Cluster) -> None:
    """They are counted by their reason."""
    world.deploy(WORKERS, 2, "never:1")
    state = read_workers(cluster, WORKERS)
    assert (state.ready, state.waiting) == (0, {"Pending": 2})


def test_warnings_come_first(world: World, cluster: Cluster) -> None:
    """With their count; those of other deployments are not taken for ours."""
    world.deploy(WORKERS, 1)
    world.event(WORKERS, "FailedCreate", "exceeded quota")
    world.event("other", "FailedCreate", "not ours")
    events = read_workers(cluster, WORKERS).events
    assert (events[0].reason, events[0].text, events[0].count, events[0].warning) == (
        "FailedCreate",
        "exceeded quota",
        3,
        True,
    )
    assert "not ours" not in [event.text for event in events]


def test_rollouts(world: World, cluster: Cluster) -> None:
    """Revisions with their images, the newest first, at the time when they began."""
    world.deploy(WORKERS, 1, "workers:1")
    world.roll_out(WORKERS, "workers:2")
    eventually(lambda: len(rollouts(cluster, WORKERS)) == 2)
    newest, first = rollouts(cluster, WORKERS)
    assert (newest.revision, newest.images, newest.current) == (2, ("workers:2",), True)
    assert (first.revision, first.images, first.current) == (1, ("workers:1",), False)
    assert datetime.now(UTC) - newest.at < timedelta(minutes=5)
    assert newest.summary == "webhook-workers rolled out revision 2: workers:2"


def test_going_back_is_told_from_rolling_out(world: World, cluster: Cluster) -> None:
    """The old ReplicaSet becomes current again; its age is not the time of the change."""
    if isinstance(world, FakeWorld):
        going_back_on_the_fake(world)
    else:
        world.deploy(WORKERS, 1, "workers:1")
        eventually(lambda: datetime.now(UTC).microsecond < 200_000)
        world.roll_out(WORKERS, "workers:2")
        world.roll_out(WORKERS, "workers:1")
    newest = rollouts(cluster, WORKERS)[0]
    assert (newest.images, newest.revision) == (("workers:1",), 3)


def going_back_on_the_fake(world: FakeWorld) -> None:
    """Give the old ReplicaSet the number 3, as the controller does."""
    world.deploy(WORKERS, 1, "workers:1")
    world.roll_out(WORKERS, "workers:2")
    sets = world.api.objects["replicasets"]
    old = next(
        item for item in sets.values() if item["spec"]["template"]["spec"]["containers"][0]["image"] == "workers:1"
    )
    old["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    progress = {"type": "Progressing", "status": "True", "lastUpdateTime": "2026-02-01T00:00:00Z"}
    world.api.objects["deployments"][WORKERS]["status"]["conditions"] = [progress]


def fake_only(world: World) -> FakeWorld | None:
    """Give the fake, for what needs a kubelet or a metrics server; the real cluster has neither."""
    return world if isinstance(world, FakeWorld) else None


def test_use_of_resources(world: World, cluster: Cluster) -> None:
    """Cores and bytes, summed over the pods, against their limits."""
    fake = fake_only(world)
    if fake is None:
        return
    fake.deploy(WORKERS, 2)
    used: dict[str, Any] = {"containers": [{"usage": {"cpu": "250m", "memory": "200Mi"}}]}
    fake.api.usage = {"items": [used, used]}
    usage = read_workers(cluster, WORKERS).usage
    assert usage is not None
    assert (usage.pods, usage.cpu, usage.memory, usage.memory_limit) == (2, 0.5, 400 * 2**20, 512 * 2**20)
    assert read_usage(cluster, f"app={WORKERS}", []).memory_limit is None


def test_log_lines_that_tell_of_failures(world: World, cluster: Cluster) -> None:
    """Only lines that match, without payloads and passwords, and no more than asked for."""
    fake = fake_only(world)
    if fake is None:
        return
    fake.deploy(WORKERS, 1)
    pod = next(iter(fake.api.objects["pods"]))
    lines = [
        "INFO fine",
        'ERROR Job failed {"card": "4111"}',
        "ERROR postgres://app:hunter2@db is gone",
        "ERROR token=abc",
    ]
    fake.api.logs[pod] = "\n".join(lines * 100)
    found = worker_lines(cluster, WORKERS, re.compile("ERROR"), most=3)
    assert [line.text for line in found] == [
        "ERROR Job failed {…}",
        "ERROR postgres://app:***@db is gone",
        "ERROR token=***",
    ]
    asked = next(asked for asked in fake.web.asked if asked.path.endswith("/log"))
    assert (asked.query["tailLines"], asked.query["limitBytes"]) == ("2000", "262144")
