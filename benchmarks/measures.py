"""The measurements: each takes a bench and returns its rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import baseline, workload
from benchmarks.rows import Row, memory_row, row
from benchmarks.watch import DRAIN, Seen, Watch, peak_megabytes
from dlq.brokers.redis_list import RedisListQueue
from dlq.config.queues import QueueConfig
from dlq.engine.assess import assess
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind, Request, start
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from dlq.records.ledger import RunRecord

_CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
_STORE = "benchmark:messages"
_QUARTER = Selector(types=(workload.CHOSEN,))
_HOLD_MS = 5.0


@dataclass(slots=True)
class Bench:
    """A server, its watch, the two sizes, and the longest holds so far."""

    client: redis.Redis
    url: str
    watch: Watch
    small: int
    large: int
    times: int = 3
    ours: list[Seen] = field(default_factory=list)
    theirs: list[Seen] = field(default_factory=list)

    def stock(self, count: int) -> None:
        """Make the DLQ hold `count` messages and everything else be empty; messages are made once a size."""
        store = f"{_STORE}:{count}"
        if not self.client.exists(store):
            workload.fill(self.client, store, count)
        others = [key for key in self.client.scan_iter(count=1000) if not key.startswith(_STORE.encode())]
        if others:
            self.client.unlink(*others)
        self.client.copy(store, _CONFIG.dlq)
        # Redis frees what was unlinked in a thread of its own, which would take a core from what is measured.
        while self.client.info("memory")["lazyfree_pending_objects"]:
            time.sleep(0.01)

    def run(self, call: Callable[[], object]) -> Seen:
        """Measure something of ours."""
        self.ours.append(self.watch.measure(call))
        return self.ours[-1]

    def run_baseline(self, call: Callable[[], object]) -> Seen:
        """Measure the runbook's loop, whose calls are short: what holds them for long is the machine."""
        self.theirs.append(self.watch.measure(call))
        return self.theirs[-1]

    def drain(self, selector: Selector) -> RunRecord:
        """Drain through the domain, as the command and the flows do."""
        queue = RedisListQueue(_CONFIG, self.url)
        pace = Pace.unpaced()
        request = Request(Kind.DRAIN, "benchmark", selector=selector, pace=pace.as_parameters())
        try:
            return drive(lambda: start(queue, _CONFIG, request), pace, _no_sleep, lambda _run, _wave: None)
        finally:
            queue.close()


def full(bench: Bench) -> list[Row]:
    """Drain everything, ours and the runbook's loop in turns: messages a second, and Redis CPU a message."""
    size = bench.large
    ours, theirs = [], []
    for _ in range(bench.times):
        bench.stock(size)
        theirs.append(bench.run_baseline(lambda: baseline.gradual(bench.client, _CONFIG.dlq, _CONFIG.live)))
        bench.stock(size)
        ours.append(bench.run(lambda: bench.drain(Selector(corrupted=None))))
        _expect(bench.client.llen(_CONFIG.live), size)
    rate, base = size / _seconds(ours), size / _seconds(theirs)
    cpu, cpu_base = (median(seen.cpu for seen in each) / size * 1e6 for each in (ours, theirs))
    return [
        row(f"full drain of {size:,}", rate, "messages/s", base, "at least 1.0", ok=rate >= base),
        row("Redis CPU per moved message", cpu, "µs", cpu_base, "at most 1.0", ok=cpu <= cpu_base),
    ]


def selective(bench: Bench) -> list[Row]:
    """Drain a quarter: against the runbook's script, and ten times as many messages against this."""
    small: list[Seen] = []
    large: list[Seen] = []
    for _ in range(bench.times):
        for size, seen in ((bench.small, small), (bench.large, large)):
            bench.stock(size)
            seen.append(bench.run(lambda: bench.drain(_QUARTER)))
            _expect(bench.client.llen(_CONFIG.live), size // 4)
    bench.stock(bench.small)
    last = bench.watch.measure(lambda: baseline.selective(bench.client, _CONFIG.dlq, _CONFIG.live, workload.CHOSEN))
    _expect(last.result, bench.small // 4)
    ours, more = _seconds(small), _seconds(large)
    faster = last.seconds / ours
    name = f"selective drain of {bench.small:,}, a quarter"
    growth = f"selective drain of {bench.large:,} against {bench.small:,}"
    return [
        row(name, ours, "s", last.seconds, "at least 200", ok=faster >= 200, ratio=faster),
        row(growth, more, "s", ours, "at most 11", ok=more <= 11 * ours),
    ]


def assessing(bench: Bench) -> list[Row]:
    """Assess, against a bare loop of LRANGE and orjson: messages a second."""
    size = bench.large
    bench.stock(size)
    queue = RedisListQueue(_CONFIG, bench.url)
    ours, theirs = [], []
    for _ in range(bench.times):
        theirs.append(bench.watch.measure(lambda: baseline.read_all(bench.client, _CONFIG.dlq)))
        ours.append(bench.run(lambda: assess(queue, _CONFIG).read))
        _expect(theirs[-1].result, size)
        _expect(ours[-1].result, size)
    queue.close()
    rate, base = size / _seconds(ours), size / _seconds(theirs)
    return [row(f"assess {size:,}", rate, "messages/s", base, "at least 0.7", ok=rate >= 0.7 * base)]


def undoing(bench: Bench) -> list[Row]:
    """Roll a drain back out of a live queue that holds as many others, against the drain's own time."""
    size = bench.small
    drains, rollbacks = [], []
    for number in range(bench.times):
        bench.stock(size)
        workload.fill(bench.client, _CONFIG.live, size, seed=2 + number)
        drains.append(bench.run(lambda: bench.drain(Selector(corrupted=None)).run_id))
        queue, undone = RedisListQueue(_CONFIG, bench.url), str(drains[-1].result)
        rollbacks.append(bench.run(lambda: roll_back(queue, _CONFIG, undone, "benchmark").withdrawn))  # noqa: B023
        queue.close()
        _expect(rollbacks[-1].result, size)
    took, base = _seconds(rollbacks), _seconds(drains)
    name = f"rollback of {size:,} out of {2 * size:,}"
    return [row(name, took, "s", base, "at most 3", ok=took <= 3 * base)]


def memory(bench: Bench) -> list[Row]:
    """Compare the peak memory of the command at both sizes."""
    rows = []
    for name, arguments in (("drain", [*DRAIN]), ("assess", ["assess", "webhooks"])):
        peaks = []
        for size in (bench.small, bench.large):
            bench.stock(size)
            peaks.append(peak_megabytes(arguments, bench.url))
        less, more = peaks
        rows.append(memory_row(f"peak memory of {name}, {bench.large:,} against {bench.small:,}", more, less))
    return rows


def holding(bench: Bench) -> list[Row]:
    """Give the longest time that Redis answered nobody during each of our calls, with Redis first in line."""
    loops: list[Seen] = []
    calls: dict[str, list[Seen]] = {}
    with bench.watch.first_in_line() as first:
        for _ in range(bench.times):
            bench.stock(bench.large)
            loops.append(bench.run_baseline(lambda: baseline.gradual(bench.client, _CONFIG.dlq, _CONFIG.live)))
            for name, selector in (("a quarter", _QUARTER), ("all", Selector(corrupted=None))):
                for what, seen in zip(("assess", "drain", "rollback"), _there_and_back(bench, selector), strict=True):
                    calls.setdefault(f"{what}, {name}", []).append(seen)
    how = "" if first else ", not first in line"
    # A call sends the same commands each time: what one time shows and another does not is the machine.
    hold = max(min(seen.hold for seen in times) for times in calls.values())
    ping = max(min(bench.watch.pings([seen.window])[-1] for seen in times) for times in calls.values())
    base = min(seen.hold for seen in loops), min(bench.watch.pings([seen.window])[-1] for seen in loops)
    return _holds(how, (hold, ping), base)


def _there_and_back(bench: Bench, selector: Selector) -> tuple[Seen, Seen, Seen]:
    """Assess, drain and roll back."""
    bench.stock(bench.large)
    workload.fill(bench.client, _CONFIG.live, bench.small, seed=2)
    queue = RedisListQueue(_CONFIG, bench.url)
    assessed = bench.run(lambda: assess(queue, _CONFIG).read)
    drained = bench.run(lambda: bench.drain(selector).run_id)
    undone = bench.run(lambda: roll_back(queue, _CONFIG, str(drained.result), "benchmark").withdrawn)
    queue.close()
    _expect(undone.result, bench.large // 4 if selector is _QUARTER else bench.large)
    return assessed, drained, undone


def held(bench: Bench) -> list[Row]:
    """Give the longest of all that was measured, where Redis mostly waits for a core like any other process."""
    ours, base = (
        (max(seen.hold for seen in some), bench.watch.pings([seen.window for seen in some])[-1])
        for some in (bench.ours, bench.theirs or bench.ours)
    )
    return _holds(", worst of all runs", ours, base, target="part")


def _holds(how: str, ours: tuple[float, float], base: tuple[float, float], target: str = "at most 5 ms") -> list[Row]:
    lead = "  " if target == "part" else ""
    names = (f"{lead}longest hold of Redis, SLOWLOG{how}", f"{lead}longest PING of a second process{how}")
    return [
        row(name, value, "ms", other or 0.5, target, ok=target == "part" or value <= _HOLD_MS)
        for name, value, other in zip(names, ours, base, strict=True)
    ]


MEASURES = {
    "full": full,
    "selective": selective,
    "assess": assessing,
    "rollback": undoing,
    "memory": memory,
    "holds": holding,
}


def _seconds(seen: list[Seen]) -> float:
    return median(each.seconds for each in seen)


def _expect(found: object, count: int) -> None:
    """Refuse to report the speed of something that went wrong."""
    if found != count:
        raise RuntimeError(f"expected {count} messages, found {found}")


def _no_sleep(seconds: float) -> None:
    """Stand for the pause between waves, which an unpaced drain does not have."""
