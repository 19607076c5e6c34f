"""The incident itself: workers on, flow runs created, watched to their end, and the score."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import redis

from dlq.demo.display import Display, LogTally, QueueView, score_table
from dlq.demo.scoreboard import Places, Scoreboard, score
from dlq.demo.workers import LogLine
from dlq.opening import open_queue
from dlq.reading import Reading
from dlq.up.prefect_api import FlowRunState, PrefectApi
from dlq.verify import verify

if TYPE_CHECKING:
    from rich.console import Console

    from dlq.demo.children import Child, Children
    from dlq.demo.world import World
    from dlq.settings import Settings

WORK_SECONDS: Final = 20.0
"""How long the workers take for all messages of a queue."""
GRACE_SECONDS: Final = 25
SERVE_SECONDS: Final = 60.0
RUN_SECONDS: Final = 240.0
WORKERS: Final = {"webhooks": 2, "jobs": 1, "experiments": 1}
_SLOWEST: Final = 20.0  # messages a second, so that a small demo does not crawl


@dataclass(slots=True)
class Incident:
    """One incident on the queues of a world that lies in the DLQs already."""

    console: Console
    settings: Settings
    world: World
    api: PrefectApi
    children: Children
    folder: Path
    _logs: dict[str, list[Path]] = field(default_factory=dict)
    _flow_runs: dict[str, str] = field(default_factory=dict)

    def run(self) -> bool:
        """Do it all and print the score; say whether everything matches."""
        workers = [child for queue in self.world.letters for child in self._start_workers(queue)]
        deployment = self.api.deployment("incident/incident", SERVE_SECONDS, self.children.check)
        for queue in self.world.letters:
            asked = {"queue": queue, "pace": "none", "max_batches": 0, "reason": "demo", "grace": GRACE_SECONDS}
            self._flow_runs[queue] = self.api.create_flow_run(deployment, f"demo {queue}", asked)
        states = self._watch()
        self.children.stop(workers)
        return self._judge(states)

    def _start_workers(self, queue: str) -> list[Child]:
        truth = self.folder / f"truth-{queue}.txt"
        truth.write_text("\n".join(self.world.failing(queue)), encoding="utf-8")
        count = WORKERS[queue]
        rate = max(_SLOWEST, len(self.world.letters[queue]) / WORK_SECONDS / count)
        started = []
        for number in range(1, count + 1):
            log = self.folder / f"worker-{queue}-{number}.tsv"
            log.touch()
            self._logs.setdefault(queue, []).append(log)
            command = [sys.executable, "-m", "dlq.demo.workers", "--queue", queue, "--rate", f"{rate:.1f}"]
            command += ["--truth-file", str(truth), "--log", str(log)]
            started.append(self.children.start(f"worker-{queue}-{number}", command))
        return started

    def _watch(self) -> dict[str, FlowRunState]:
        """Show the queues until each flow run has ended and each live queue is empty, or the time is over."""
        deadline = time.monotonic() + RUN_SECONDS
        tallies = {queue: LogTally(logs) for queue, logs in self._logs.items()}
        with (
            redis.Redis.from_url(self.settings.redis_url.get_secret_value()) as client,
            Display(self.console) as display,
        ):
            while True:
                self.children.check()
                states = {queue: self.api.state(run) for queue, run in self._flow_runs.items()}
                views = [self._view(client, queue, tallies[queue], states[queue].name) for queue in states]
                display.show(views)
                done = all(state.ended for state in states.values()) and not any(view.live for view in views)
                if done or time.monotonic() > deadline:
                    return states
                time.sleep(0.5)

    def _view(self, client: redis.Redis, queue: str, tally: LogTally, state: str) -> QueueView:
        tally.update()
        config = self.settings.queue(queue)
        with client.pipeline(transaction=False) as pipe:
            pipe.llen(config.dlq)
            pipe.llen(config.live)
            dlq, live = pipe.execute()
        return QueueView(queue, dlq, live, tally.delivered, tally.failed, state)

    def _judge(self, states: dict[str, FlowRunState]) -> bool:
        """Print the score of all queues, and of each run what the ledger says and where to look."""
        scores, unexplained = [], 0
        with redis.Redis.from_url(self.settings.redis_url.get_secret_value()) as client:
            for queue, letters in self.world.letters.items():
                scores.append(score(queue, letters, self._places(client, queue), LogLine.read_all(self._logs[queue])))
        board_lines = []
        for queue in self.world.letters:
            missing, lines = self._ledger(queue, states[queue])
            unexplained += missing
            board_lines += lines
        board = Scoreboard(tuple(scores), unexplained)
        self.console.print(score_table(board.scores))
        for line in board_lines:
            self.console.print(line, soft_wrap=True, highlight=False)
        return board.ok and all(state.type == "COMPLETED" for state in states.values())

    def _places(self, client: redis.Redis, queue: str) -> Places:
        config = self.settings.queue(queue)
        lists = [cast("list[bytes]", client.lrange(key, 0, -1)) for key in (config.dlq, config.live, config.quarantine)]
        return Places(*map(tuple, lists))

    def _ledger(self, queue: str, state: FlowRunState) -> tuple[int, list[str]]:
        """Give what the ledger leaves unexplained, and the lines about the run; a missing run explains nothing."""
        flow_run = self._flow_runs[queue]
        lines = [f"{queue}: flow run {state.name}, {self.api.page(flow_run)}"]
        if state.type != "COMPLETED":
            lines.append(f"  {state.message[:500] or 'see deployments.log in the demo folder'}")
        with open_queue(self.settings, queue) as (broker, config):
            # A ledger run ends with the last digits of its flow run's id.
            ending = flow_run.replace("-", "")[-6:]
            record = next((run for run in broker.runs(10) if run.run_id.endswith(ending)), None)
            if record is None:
                return len(self.world.letters[queue]), [*lines, "  no ledger run."]
            outcome = verify(broker, record.run_id, Reading.of(config))
        lines.append(f"  {record.run_id}: {outcome.conservation}")
        lines.append(f"  report: {record.facts.get('report', 'none was written')}")
        return outcome.unexplained, lines
