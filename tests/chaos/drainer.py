"""A drainer that kills itself at a named step: `python -m tests.chaos.drainer ORDER`, ORDER being JSON.

The faults are put in by an adapter that lights a fuse around the calls of the real one; the product has no hooks.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from dlq.brokers.base import Batch, Hold, Pending, Place, Receipt, Route
from dlq.brokers.cluster_wire import ClusterWire
from dlq.brokers.rabbit_queue import RabbitQueue
from dlq.brokers.redis_address import Seeds
from dlq.brokers.redis_cluster import RedisClusterQueue
from dlq.brokers.redis_list import RedisListQueue
from dlq.brokers.redis_wire import RABBIT_SCRIPTS, SCRIPTS, Wire
from dlq.config.queues import QueueConfig
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind, Request, Run, resume, start
from dlq.engine.sift import Decider, Verdict, Wave
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Mode, Pace
from dlq.records.ledger import RunRecord
from tests.chaos.truth import QUEUE

T = TypeVar("T")

DRAIN_STEPS = (
    "acquire-after",
    "begin-before",
    "begin-after",
    "read-before",
    "read-after",
    "decide-before",
    "decide-after",
    "commit-before",
    "commit-sent",
    "reply-before",
    "reply-after",
    "wave-end",
    "finish-before",
    "finish-after",
    "release-after",
)
ROLLBACK_STEPS = (
    "acquire-after",
    "annotate-after",
    "begin-before",
    "begin-after",
    "read-before",
    "read-after",
    "commit-before",
    "commit-sent",
    "reply-before",
    "reply-after",
    "unstash-before",
    "unstash-after",
    "finish-before",
    "finish-after",
    "release-after",
)
ONCE = frozenset({"acquire-after", "finish-before", "finish-after", "release-after"})
PACE = Pace(Mode.NONE, 900, 0.0, 0)
LOCK_SECONDS = 1.0  # a rollback killed before it has a name in the ledger is only freed by the end of its lock


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(slots=True)
class Fuse:
    """Does something the `nth` time that a step is reached (0: each time): by default, die."""

    step: str = ""
    nth: int = 1
    action: Callable[[], None] = _die
    seen: int = 0

    def at(self, step: str) -> None:
        """Say that a step is reached."""
        if self.step and step == self.step:
            self.seen += 1
            if self.nth in {0, self.seen}:
                self.action()


@dataclass(frozen=True, slots=True)
class _FusedReply(Generic[T]):
    reply: Pending[T]
    fuse: Fuse
    before: str
    after: str

    def result(self) -> T:
        """Wait for the answer between two steps."""
        self.fuse.at(self.before)
        answer = self.reply.result()
        self.fuse.at(self.after)
        return answer


class Fused:
    """A fuse around each call of an adapter, which stands behind this in the order of the classes."""

    fuse: Fuse

    def acquire(self, run_id: str, who: str, *, take_over: bool = False) -> Hold:
        """Take the lock."""
        hold = super().acquire(run_id, who, take_over=take_over)
        self.fuse.at("acquire-after")
        return hold

    def release(self, hold: Hold) -> None:
        """Give the lock back."""
        super().release(hold)
        self.fuse.at("release-after")

    def begin(self, hold: Hold, route: Route, step: int, fields: dict[str, str], length: int = -1) -> RunRecord:
        """Begin a pass."""
        self.fuse.at("begin-before")
        record = super().begin(hold, route, step, fields, length)
        self.fuse.at("begin-after")
        return record

    def read(self, place: Place, skip: int, count: int) -> Pending[list[bytes]]:
        """Ask for a chunk."""
        self.fuse.at("read-before")
        return _FusedReply(super().read(place, skip, count), self.fuse, "read-sent", "read-after")

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Send a batch."""
        self.fuse.at("commit-before")
        reply = super().commit(hold, route, batch)
        self.fuse.at("commit-sent")
        return _FusedReply(reply, self.fuse, "reply-before", "reply-after")

    def unstash(self, hold: Hold, undoes: str, sequence: int, fields: Sequence[str], entries: bytes) -> int:
        """Put dropped messages back."""
        self.fuse.at("unstash-before")
        count = super().unstash(hold, undoes, sequence, fields, entries)
        self.fuse.at("unstash-after")
        return count

    def annotate(self, run_id: str, fields: dict[str, str]) -> None:
        """Add facts to a run."""
        super().annotate(run_id, fields)
        self.fuse.at("annotate-after")

    def finish(self, hold: Hold, state: str, fields: dict[str, str]) -> None:
        """Close a run."""
        self.fuse.at("finish-before")
        super().finish(hold, state, fields)
        self.fuse.at("finish-after")


class FusedQueue(Fused, RedisListQueue):
    """The adapter for one Redis."""

    def __init__(self, config: QueueConfig, url: str, fuse: Fuse, lock_seconds: float = LOCK_SECONDS) -> None:
        super().__init__(config, url, lock_seconds=lock_seconds)
        self.fuse = fuse


class FusedClusterQueue(Fused, RedisClusterQueue):
    """The adapter for a cluster."""

    def __init__(self, config: QueueConfig, url: str, fuse: Fuse, lock_seconds: float = LOCK_SECONDS) -> None:
        super().__init__(config, ClusterWire(Seeds.of(url)), lock_seconds=lock_seconds)
        self.fuse = fuse


class FusedRabbitQueue(Fused, RabbitQueue):
    """The adapter for RabbitMQ; the address is RabbitMQ's and that of the ledger's Redis."""

    def __init__(self, config: QueueConfig, url: str, fuse: Fuse, lock_seconds: float = LOCK_SECONDS) -> None:
        rabbit, ledger = url.split()
        super().__init__(config, rabbit, Wire(ledger, scripts=SCRIPTS + RABBIT_SCRIPTS), lock_seconds=lock_seconds)
        self.fuse = fuse


FusedAny = FusedQueue | FusedClusterQueue | FusedRabbitQueue


def fused(config: QueueConfig, url: str, fuse: Fuse, lock_seconds: float = LOCK_SECONDS) -> FusedAny:
    """Open a queue with the adapter that its address asks for."""
    kinds = {"redis-cluster": FusedClusterQueue, "amqp": FusedRabbitQueue}
    return kinds.get(url.partition("://")[0], FusedQueue)(config, url, fuse, lock_seconds)


@dataclass(frozen=True, slots=True)
class _FusedDecider:
    inner: Decider
    fuse: Fuse

    def __call__(self, messages: list[bytes]) -> Verdict:
        """Decide between two steps."""
        self.fuse.at("decide-before")
        verdict = self.inner(messages)
        self.fuse.at("decide-after")
        return verdict

    def take_back(self, verdict: Verdict) -> None:
        """Pass on."""
        self.inner.take_back(verdict)

    def new_signatures(self) -> list[tuple[int, str]]:
        """Pass on."""
        return self.inner.new_signatures()


@dataclass(frozen=True, slots=True)
class Job:
    """What a drain is asked to do."""

    kind: str = "drain"
    types: tuple[str, ...] = ()
    corrupted: bool | None = False
    edits: tuple[str, ...] = ()
    limit: int | None = None
    max_batches: int = 0

    def request(self, who: str = "chaos") -> Request:
        """Put it in the engine's words."""
        return Request(
            Kind(self.kind),
            who,
            "a test",
            Selector(types=self.types, corrupted=self.corrupted),
            Edit(set=self.edits),
            Pace(Mode.NONE, PACE.batch, 0.0, self.max_batches).as_parameters(),
            self.limit,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What a drainer process is to do, and when it is to die: at a step, or after some seconds of work."""

    url: str
    work: str
    run_id: str
    job: Job = field(default_factory=Job)
    step: str = ""
    nth: int = 1
    after: float | None = None

    def as_json(self) -> str:
        """Render for the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Order":
        """Read from the command line."""
        said: dict[str, Any] = json.loads(text)
        job: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said["job"].items()
        }
        return cls(**{**said, "job": Job(**job)})


def work_through(queue: FusedAny, open_run: Callable[[], Run], pace: Pace) -> RunRecord:
    """Drive a run with fuses around its decisions and at the ends of its waves."""

    def opened() -> Run:
        run = open_run()
        run.sift.decide = _FusedDecider(run.sift.decide, queue.fuse)
        return run

    def wave_end(_run: Run, _wave: Wave) -> None:
        queue.fuse.at("wave-end")

    return drive(opened, pace, time.sleep, wave_end)


def drain(queue: FusedAny, job: Job, run_id: str, who: str = "chaos") -> RunRecord:
    """Begin a run and drive it to its end."""
    request = job.request(who)
    pace = Pace.from_parameters(request.pace)
    return work_through(queue, lambda: start(queue, queue.config, request, run_id), pace)


def go_on(queue: FusedAny, run_id: str) -> RunRecord:
    """Resume a run, from a process that died or not, and drive it to its end."""
    record = queue.run(run_id)
    pace = Pace.from_parameters(record.parameters["pace"] if record else {})
    return work_through(queue, lambda: resume(queue, queue.config, run_id, "chaos", take_over=True), pace)


def main() -> None:
    """Do what the order says; die when it says so."""
    order = Order.from_json(sys.argv[1])
    config = QueueConfig.model_validate(QueueConfig.defaults(QUEUE, "chaos"))
    queue = fused(config, order.url, Fuse(order.step, order.nth))
    if order.after is not None:
        timer = threading.Timer(order.after, _die)
        timer.daemon = True
        timer.start()
    if order.work == "drain":
        drain(queue, order.job, order.run_id)
    elif order.work == "resume":
        go_on(queue, order.run_id)
    else:
        roll_back(queue, config, order.run_id, "chaos")
    queue.close()


if __name__ == "__main__":
    main()
