"""A simulated worker: pops a live queue, fails what the truth says must fail, and logs what it did.

Run by the demo as `python -m dlq.demo.workers`, one process a worker; it stops on SIGTERM after the messages in hand.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import orjson

from dlq.config.settings import load_settings
from dlq.demo.lists import Lists, open_lists
from dlq.records.ledger import fingerprint

if TYPE_CHECKING:
    from types import FrameType

DELIVERED: Final = "delivered"
FAILED: Final = "failed"
UNREADABLE: Final = "unreadable"
MOST_IN_HAND: Final = 50
_HAND_SECONDS: Final = 0.1  # how long a handful takes at the wanted rate, so that a stop is quick
_ERROR: Final = "WorkerError: attempt {attempt} on worker-{pid}.demo.internal:9000 failed after {ms} ms"


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a worker did with one message: the digest of what it took and, if it failed, of what it pushed back."""

    what: str
    id: str
    taken: str
    pushed: str

    @classmethod
    def read_all(cls, files: Iterable[Path]) -> Iterator[LogLine]:
        """Read the logs of some workers."""
        for file in files:
            for line in file.read_text(encoding="utf-8").splitlines():
                yield cls(*line.split("\t"))

    def __str__(self) -> str:
        return f"{self.what}\t{self.id}\t{self.taken}\t{self.pushed}"


class Worker:
    """Works on one live queue at about `rate` messages a second until `stop`."""

    def __init__(
        self, lists: Lists, live: str, dlq: str, *, rate: float, failing: frozenset[str], log: IO[str]
    ) -> None:
        """Take where messages come from and failed ones go to, which ids fail, and where to note it."""
        self._lists = lists
        self._live = live
        self._dlq = dlq
        self._rate = rate
        self._failing = failing
        self._log = log
        self._stopping = False

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask the worker to end after the messages in hand."""
        self._stopping = True

    def run(self) -> None:
        """Work until asked to stop, or until the parent process has ended."""
        parent = os.getppid()
        while not self._stopping and os.getppid() == parent:
            started = time.monotonic()
            count = self.once()
            wait = count / self._rate - (time.monotonic() - started)
            if wait > 0 and not self._stopping:
                time.sleep(wait)

    def once(self) -> int:
        """Take one handful, at most 1 second waiting for its first; return how many messages it had."""
        taken = self._lists.take(self._live, max(1, min(MOST_IN_HAND, int(self._rate * _HAND_SECONDS))))
        lines, back = [], []
        for raw in taken:
            line, again = self._work(raw)
            lines.append(line)
            if again is not None:
                back.append(again)
        if back:
            self._lists.push(self._dlq, back)
        self._log.write("".join(f"{line}\n" for line in lines))
        self._log.flush()
        return len(taken)

    def _work(self, raw: bytes) -> tuple[LogLine, bytes | None]:
        """Process one message; give the log line, and the bytes for the DLQ when it failed."""
        digest = fingerprint(raw).hex()
        try:
            body = orjson.loads(raw)
            ident = str(body["id"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return LogLine(UNREADABLE, "-", digest, digest), raw
        if ident not in self._failing:
            return LogLine(DELIVERED, ident, digest, "-"), None
        again = failed_again(body)
        return LogLine(FAILED, ident, digest, fingerprint(again).hex()), again


def failed_again(body: dict[str, Any]) -> bytes:
    """Write a message as an application does when it fails once more: attempts, time and error are new."""
    counter = "retryCount" if "retryCount" in body else "attempts"
    body[counter] = int(body.get(counter) or 0) + 1
    body["failedAt"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    text = _ERROR.format(attempt=body[counter], pid=os.getpid(), ms=time.monotonic_ns() % 5000)
    if isinstance(body.get("error"), dict):
        name, _, message = text.partition(": ")
        body["error"] = {"class": name, "message": message}
    else:
        body["error"] = text
    return orjson.dumps(body)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dlq.demo.workers")
    parser.add_argument("--queue", required=True, help="its keys, and where they are, come from the settings")
    parser.add_argument("--rate", type=float, required=True, help="messages a second")
    parser.add_argument("--truth-file", type=Path, required=True, help="the ids that fail, one a line")
    parser.add_argument("--log", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Run one worker from the command line."""
    args = _arguments()
    settings = load_settings()
    queue = settings.queue(args.queue)
    failing = frozenset(args.truth_file.read_text(encoding="utf-8").split())
    with args.log.open("a", encoding="utf-8") as log, open_lists(settings) as lists:
        worker = Worker(lists, queue.live, queue.dlq, rate=args.rate, failing=failing, log=log)
        signal.signal(signal.SIGTERM, worker.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then stops its workers
        worker.run()


if __name__ == "__main__":
    main()
