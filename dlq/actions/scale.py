"""Scale the workers of a queue up, stop them, and put the count back that was there before.

Where an autoscaler owns the count, its minimum is raised instead, and put back: fighting it would be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.actions.book import Action, Book, State
from dlq.systems.cluster.scaling import find_autoscaler, replicas, set_minimum, set_replicas, wait_ready

if TYPE_CHECKING:
    from dlq.systems.cluster.connection import Cluster

SCALE = "scale"
MINIMUM = "autoscaler-minimum"
STOP = "stop"
KINDS = (SCALE, MINIMUM, STOP)


def scale_up(cluster: Cluster, book: Book, deployment: str, count: int, limit: float) -> Action | None:
    """See to at least `count` workers, and wait `limit` seconds until they are ready; None: there are enough."""
    action = _intended(book, deployment) or _intend(cluster, book, deployment, count)
    if action is None or action.state is not State.INTENDED:
        return action
    if action.kind == MINIMUM:
        set_minimum(cluster, action.target, action.after, lambda now: now < action.after)
    else:
        set_replicas(cluster, deployment, action.after, lambda now: now < action.after)
    ready = wait_ready(cluster, deployment, action.after, limit)
    note = "" if ready.reached else f"after {ready.seconds:.0f} s {ready.ready} of {ready.wanted} are ready"
    return book.settle(action, State.DONE, note)


def stop_workers(cluster: Cluster, book: Book, deployment: str, limit: float) -> Action:
    """Scale to 0, which an autoscaler respects too, and wait until no worker is left: "stop the drain"."""
    key = f"{STOP}:{deployment}"
    action = book.find(key) or book.intend(key, STOP, deployment, replicas(cluster, deployment), 0)
    if action.state is not State.INTENDED:
        return action
    set_replicas(cluster, deployment, 0, lambda now: now > 0)
    ready = wait_ready(cluster, deployment, 0, limit)
    note = "" if ready.reached else f"after {ready.seconds:.0f} s some still run"
    return book.settle(action, State.DONE, note)


def start_workers(cluster: Cluster, book: Book, deployment: str, usual: int | None, limit: float) -> Action | None:
    """Put back the count from before `stop_workers`; `usual` where it was 0 or nobody wrote it down."""
    action = book.find(f"{STOP}:{deployment}")
    if action is None or action.state in (State.UNDONE, State.LEFT):
        return action
    count = action.before or usual or 1
    before = set_replicas(cluster, deployment, count, lambda now: now == 0)
    if before not in (0, count):
        return book.settle(action, State.LEFT, f"somebody set {before} since")
    ready = wait_ready(cluster, deployment, count, limit)
    note = f"{count} workers again" if ready.reached else f"{ready.ready} of {count} are ready"
    return book.settle(action, State.UNDONE, note)


def put_back(cluster: Cluster, book: Book, action: Action) -> Action:
    """Undo `scale_up`: put back the count, or the minimum, unless somebody else has changed it since."""
    if action.state not in (State.INTENDED, State.DONE) or action.before is None:
        return action
    before = action.before
    change = set_minimum if action.kind == MINIMUM else set_replicas
    found = change(cluster, action.target, before, lambda now: now == action.after)
    if found in (action.after, before):
        return book.settle(action, State.UNDONE, f"{before} again")
    return book.settle(action, State.LEFT, f"somebody set {found} since")


def _intended(book: Book, deployment: str) -> Action | None:
    return book.find(f"{SCALE}:{deployment}")


def _intend(cluster: Cluster, book: Book, deployment: str, count: int) -> Action | None:
    """Write down the count from before; None when there are enough workers already."""
    key = f"{SCALE}:{deployment}"
    autoscaler = find_autoscaler(cluster, deployment)
    if autoscaler is None:
        before = replicas(cluster, deployment)
        return book.intend(key, SCALE, deployment, before, count) if before < count else None
    wanted = min(count, autoscaler.maximum)
    if autoscaler.minimum >= wanted:
        return None
    return book.intend(key, MINIMUM, autoscaler.name, autoscaler.minimum, wanted)
