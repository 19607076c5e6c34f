"""Simulated workers in a thread: they pop a live queue at some speed and fail what the truth says must fail."""

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import redis

from dlq.demo.workers import failed_again

Body = dict[str, Any]


@dataclass
class Workers:
    """Workers on one live queue; `fails` may be changed while they work."""

    url: str
    live: str
    dlq: str
    fails: Callable[[Body], bool]
    speed: float = 500.0
    delay: float = 0.1
    """Seconds between taking a message and its failure."""
    done: Counter[str] = field(default_factory=Counter)
    """How often each id was processed well."""
    failed: Counter[str] = field(default_factory=Counter)
    longest: int = 0
    """The longest that the live queue was seen."""
    _stop: Event = field(default_factory=Event)
    _there: Event = field(default_factory=Event)
    _late: deque[tuple[float, bytes]] = field(default_factory=deque)

    def run(self) -> None:
        """Work until stopped."""
        credit, before = 1.0, time.monotonic()
        with redis.Redis.from_url(self.url) as client, redis.Redis.from_url(self.url) as popper:
            while not self._stop.is_set():
                now = time.monotonic()
                credit, before = min(credit + (now - before) * self.speed, 1 + self.speed / 10), now
                length: Any = client.llen(self.live)
                self.longest = max(self.longest, length)
                taken: Any = popper.rpop(self.live, int(credit)) if credit >= 1 else None
                if credit >= 1 and not taken:  # as workers do, so that it can be seen that they are there
                    popped: Any = popper.brpop([self.live], timeout=0.05)
                    taken = popped and [popped[1]]
                self._there.set()
                for raw in taken or ():
                    credit -= 1
                    self._work(raw, now)
                while self._late and self._late[0][0] <= now:
                    client.lpush(self.dlq, self._late.popleft()[1])
                self._stop.wait(0.01)
            while self._late:
                client.lpush(self.dlq, self._late.popleft()[1])

    def _work(self, raw: bytes, now: float) -> None:
        body = json.loads(raw)
        if self.fails(body):
            self.failed[body["id"]] += 1
            self._late.append((now + self.delay, failed_again(body)))
        else:
            self.done[body["id"]] += 1

    @contextmanager
    def working(self) -> Iterator["Workers"]:
        """Work in a thread meanwhile."""
        thread = Thread(target=self.run)
        thread.start()
        self._there.wait(30)
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            self._stop.clear()
