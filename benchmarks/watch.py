"""What is looked at while something runs: time, Redis CPU, SLOWLOG, PING of a second process, peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

_SLOW_US = 500  # commands that held Redis for longer are in the SLOWLOG
_SLOWLOG_MOST = 10_000
_OWN = {b"SLOWLOG RESET", b"INFO cpu"}  # what the benchmark itself sends between reset and look

# A child's ru_maxrss starts at the memory of the process that it was forked from: so a small one starts it.
_LAUNCH = (
    "import json, os, sys\n"
    "pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)])\n"  # noqa: E501
    "_, status, usage = os.wait4(pid, 0)\n"
    "print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss]))\n"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one measured call took. `hold` is the longest command that SLOWLOG had; 0: none over the threshold."""

    seconds: float
    cpu: float
    """Seconds of CPU of the Redis process."""
    hold: float
    """Milliseconds."""
    window: tuple[float, float]
    """Monotonic start and end."""
    result: object


@dataclass(slots=True)
class Watch:
    """Measures calls on one server, with a second process that asks PING all the while."""

    client: redis.Redis
    url: str
    folder: Path
    _pinger: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        """Start the second process and wait until it is answered."""
        self.client.config_set("slowlog-log-slower-than", _SLOW_US)
        self.client.config_set("slowlog-max-len", _SLOWLOG_MOST)
        self._pinger = subprocess.Popen([sys.executable, "-m", "benchmarks.pinger", self.url, str(self._pings)])
        while not self._pings.exists() or not self._pings.stat().st_size:
            if self._pinger.poll() is not None:
                raise RuntimeError("the process that asks PING has ended")
            time.sleep(0.01)
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop it."""
        self._pinger.terminate()
        self._pinger.wait()

    @property
    def _pings(self) -> Path:
        return self.folder / "pings"

    def measure(self, call: Callable[[], object]) -> Seen:
        """Run `call` once and say what it took."""
        cpu = self._cpu()
        self.client.slowlog_reset()
        start = time.monotonic()
        result = call()
        end = time.monotonic()
        cpu = self._cpu() - cpu
        return Seen(end - start, cpu, self._longest(), (start, end), result)

    @contextmanager
    def first_in_line(self) -> Iterator[bool]:
        """Have the server get a core as soon as it wants one, as where it has one of its own; False: not permitted.

        SLOWLOG and PING count elapsed time. A server that the kernel puts aside for the benchmark's own processes
        looks slow, whatever it does.
        """
        pid = int(self.client.info("server")["process_id"])
        try:
            os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
        except (AttributeError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))

    def pings(self, windows: list[tuple[float, float]]) -> list[float]:
        """Give how long each PING took that was sent in one of the windows, in milliseconds, shortest first."""
        time.sleep(0.05)  # the newest answer is on its way to the file
        pairs = [line.split() for line in self._pings.read_text(encoding="utf-8").splitlines() if line.count(".") == 2]
        taken = [(float(start), float(took)) for start, took in pairs]
        return sorted(took for start, took in taken if any(a <= start <= b for a, b in windows))

    def _cpu(self) -> float:
        info = self.client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def _longest(self) -> float:
        entries = self.client.slowlog_get(_SLOWLOG_MOST)
        slow = [entry["duration"] for entry in entries if entry["command"] not in _OWN]
        return max(slow, default=0) / 1000


DRAIN = ("drain", "webhooks", "--pace", "none", "--yes", "--json", "--settle", "0")


def peak_megabytes(arguments: list[str], url: str, **more: str) -> float:
    """Run the `dlq` command in a process of its own, with `more` settings; return its peak in MB (10^6 bytes)."""
    command = [sys.executable, "-c", _LAUNCH, sys.executable, "-m", "dlq", *arguments]
    environment = {**os.environ, "DLQ_REDIS_URL": url, **more}
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    status, kilobytes = json.loads(ran.stdout)
    if status:
        raise RuntimeError(f"dlq {' '.join(arguments)} ended with {status}")
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes on Linux
    return float(kilobytes) * unit / 1e6
