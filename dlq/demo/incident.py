"""The incidents themselves: found when the alerts have started them, watched to their end, and the score."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dlq.brokers.opening import open_queue
from dlq.demo.display import Display, LogTally, QueueView, Teller, score_table
from dlq.demo.lists import Lists, open_lists
from dlq.demo.scoreboard import Places, Scoreboard, score
from dlq.demo.stops import Stops
from dlq.demo.workers import LogLine
from dlq.engine.verify import verify
from dlq.messages.reading import Reading
from dlq.up.prefect_api import FlowRunState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from dlq.demo.world import World
    from dlq.up.services import Plan

RUN_SECONDS: Final = 300.0
_ALERT: Final = "alert"  # the receiver's tag of the runs that alerts have started
_NOT_YET: Final = FlowRunState("", "PENDING", "waits for the alert", "No alert has started it.")


@dataclass(frozen=True, slots=True)
class _Account:
    """What a ledger says of a run: messages left unexplained, lines to print, and what was stopped."""

    unexplained: int
    lines: list[str]
    stops: Stops


@dataclass(slots=True)
class Incident:
    """The incidents on the queues of a world that lies in the DLQs already; `tick` looks after the servers."""

    teller: Teller
    plan: Plan
    world: World
    logs: Mapping[str, Sequence[Path]]
    tick: Callable[[], None]
    _states: dict[str, FlowRunState] = field(default_factory=dict)

    def watch(self) -> None:
        """Show the queues until each incident has ended and each live queue is empty, or the time is over."""
        deadline = time.monotonic() + RUN_SECONDS
        tallies = {queue: LogTally(files) for queue, files in self.logs.items()}
        self._states = dict.fromkeys(self.world.letters, _NOT_YET)
        with open_lists(self.plan.settings) as lists, Display(self.teller) as display:
            while time.monotonic() < deadline:
                self.tick()
                self._look()
                views = [self._view(lists, queue, tallies[queue]) for queue in self._states]
                display.show(views)
                if all(state.ended for state in self._states.values()) and not any(view.live for view in views):
                    return
                time.sleep(0.4)

    def judge(self) -> bool:
        """Print the score of all queues, and of each run what the ledger says and where to look."""
        scores, unexplained, told, right = [], 0, [], True
        with open_lists(self.plan.settings) as lists:
            for queue, letters in self.world.letters.items():
                account = self._ledger(queue, self._states[queue])
                log = LogLine.read_all(self.logs[queue])
                scores.append(score(queue, letters, self._places(lists, queue), log, account.stops.holds))
                against = account.stops.against(letters, self.plan.settings.queue(queue))
                unexplained += account.unexplained
                told.append([*account.lines, *(f"  {stop}" for stop in against)])
                right = right and all(stop.right for stop in against)
        board = Scoreboard(tuple(scores), unexplained)
        ok = right and board.ok and all(state.type == "COMPLETED" for state in self._states.values())
        self.teller.show(score_table(board.scores))
        for lines in told:
            self.teller.show(*lines)
        self.teller.conclude(ok=ok)
        return ok

    def _look(self) -> None:
        """Find the run of each incident, the first one that an alert has started, and how it is."""
        runs: dict[str, list[dict[str, Any]]] = {}
        for found in self.plan.api.flow_runs():
            if _ALERT in found["tags"]:
                runs.setdefault(str(found["parameters"].get("queue")), []).append(found)
        for queue in self._states:
            if some := runs.get(queue):
                self._states[queue] = FlowRunState.of(min(some, key=lambda run: str(run["created"])))

    def _view(self, lists: Lists, queue: str, tally: LogTally) -> QueueView:
        tally.update()
        config = self.plan.settings.queue(queue)
        dlq, live = lists.length(config.dlq), lists.length(config.live)
        return QueueView(queue, dlq, live, tally.delivered, tally.failed, self._states[queue].name)

    def _places(self, lists: Lists, queue: str) -> Places:
        config = self.plan.settings.queue(queue)
        return Places(*(tuple(lists.all(name)) for name in (config.dlq, config.live, config.quarantine)))

    def _ledger(self, queue: str, state: FlowRunState) -> _Account:
        """Read what the ledger has of a run; a missing run explains nothing."""
        lines = [f"[bold]{queue}[/bold]  {state.name}  {self.plan.api.page(state.id) if state.id else ''}"]
        if state.type != "COMPLETED":
            lines.append(f"  {state.message[:500] or 'see deployments.log in the folder of the logs'}")
        with open_queue(self.plan.settings, queue) as (broker, config):
            reading = Reading.of(config)
            # A ledger run ends with the last digits of its flow run's id.
            ending = state.id.replace("-", "")[-6:] or "?"
            record = next((run for run in broker.runs(10) if run.run_id.endswith(ending)), None)
            if record is None:
                return _Account(len(self.world.letters[queue]), [*lines, "  no ledger run."], Stops(None, reading))
            outcome = verify(broker, record.run_id, Reading.of(config))
        lines.append(f"  {outcome.conservation}")
        lines.append(f"  report: {record.facts.get('report', 'none was written')}")
        return _Account(outcome.unexplained, lines, Stops(record, reading))
