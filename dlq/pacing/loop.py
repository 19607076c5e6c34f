"""The loop of a run: what to do next, from what the ledger, the notebook and the queue say.

One implementation for two drivers: the command (`dlq.pacing.drive`) and the flow (`tasks.queues`). Whoever drives does
the wave, or waits, and asks again. What the loop remembers is one field of one page of the notebook, so it changes in
one step and any process goes on with it, after a SIGKILL too. A wave is planned there before it is done; the ledger
says whether it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dlq.brokers.base import Place
from dlq.engine import bounces
from dlq.engine.run import Kind
from dlq.pacing.ahead import Ahead
from dlq.pacing.controller import Controller
from dlq.pacing.loop_memory import recall, remember
from dlq.pacing.pace import Mode, Pace
from dlq.pacing.tallies import Tallies
from dlq.pacing.watch import Watch
from dlq.pacing.windows import Action, Decision, Seen, State
from dlq.records.stop import asked
from dlq.records.timeline import tell, tell_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.engine.run import Run
    from dlq.engine.sift import Wave
    from dlq.records.ledger import RunRecord
    from dlq.records.notebook import Notebook

TRIPPED = "tripped"
"""The state of a run that was stopped as a whole by its breaker."""
_PATIENCE = 5.0  # seconds between two looks for a stop request while a fixed pace pauses


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: wave `number` with `budget` messages; or wait `seconds`; or end in a state with a note."""

    action: Action
    number: int = 0
    budget: int = 0
    seconds: float = 0.0
    why: str = ""

    @property
    def state(self) -> str:
        """Give the state of the run if it ends here."""
        return TRIPPED if self.action is Action.TRIP else "done"


class Loop:
    """Decides for one run that holds its queue."""

    def __init__(self, run: Run, notebook: Notebook, pace: Pace, clock: Callable[[], float] = time.time) -> None:
        """Go on with what the notebook has of the run, or begin; `pace` is the one in the run's ledger."""
        self.run = run
        self._notebook = notebook
        self._clock = clock
        self.pace = self._possible(pace.bound(run.config))
        self._memory = recall(notebook, run.run_id)
        self._watch = Watch(run.queue, run.config, run.run_id, notebook, Tallies(**self._memory.tallies))
        self._controller = self._open_controller()
        self._ahead = Ahead(run)
        if run.request.kind is Kind.DRAIN:
            run.decide.poison = frozenset(bounces.poison(notebook, run.config.loop.poison_after))
        if self._controller:
            run.decide.skip(self._controller.stopped)

    def _possible(self, pace: Pace) -> Pace:
        """Give the runbook's fixed pace where the broker does not let one see outcomes; the timeline says so."""
        able = self.run.queue.capabilities
        if pace.mode is not Mode.ADAPTIVE or able.looks:
            return pace
        tell(self._notebook, self.run.run_id, "pace", able.note, at=self.run.record.started_at)
        return Pace(max_batches=pace.max_batches or Pace().max_batches)

    def next(self) -> Step:
        """Say what to do next."""
        request = asked(self._notebook, self.run.run_id)
        if request is not None:
            return Step(Action.DONE, why=request.note)
        return self._scheduled() if self._controller is None else self._adaptive(self._controller)

    def wave(self, step: Step) -> Wave:
        """Do the wave of a step; what the ledger has of it already is not done again."""
        wave = self.run.wave(step.number, step.budget)
        self._ahead.passed(wave)
        if self.pace.pause:
            self._memory.number, self._memory.wave_at = step.number, self._clock()
            self._remember()
        return wave

    def finish(self, step: Step) -> RunRecord:
        """Close the run as a step says, with what it stopped in its ledger."""
        facts = {"breaker": step.why} if step.action is Action.TRIP else {}
        if self._controller is not None and self._controller.stopped:
            facts["stopped"] = bounces.stopped_fact(
                self._notebook, self.run.run_id, self._controller.stopped, self._watch.tallies.sent
            )
        if facts:
            self.run.queue.annotate(self.run.run_id, facts)
        if self.run.request.kind is Kind.DRAIN and (aside := self.run.record.quarantined):
            after = self.run.config.loop.poison_after
            were = "message that had bounced was" if aside == 1 else "messages that had bounced were"
            text = f"{aside:,} {were} put into the quarantine: {after} times is the limit"
            tell_once(self._notebook, self.run.run_id, "poison", "poison", text)
        if step.action is Action.TRIP:
            tell(self._notebook, self.run.run_id, "breaker", f"the drain was stopped: {step.why}")
        return self.run.finish(step.state, step.why)

    # a fixed pace, or none

    def _scheduled(self) -> Step:
        record, pace = self.run.record, self.pace
        number = max(1, record.wave if record.wave_selected < pace.batch else record.wave + 1)
        if self.run.ended or not pace.more(number - 1):
            return Step(Action.DONE)
        self._memory.wave_at = min(self._memory.wave_at, self._clock())  # later: the clock was put back since
        left = self._memory.wave_at + pace.pause - self._clock()
        if self._memory.number == record.wave and record.wave and left > 0:
            return Step(Action.WAIT, number, seconds=min(left, _PATIENCE), why="between two waves")
        if self._memory.number == number:  # the last one found fewer messages than its batch
            number += 1
        return Step(Action.WAVE, number, pace.batch)

    # by the outcome

    def _adaptive(self, controller: Controller) -> Step:
        memory, record = self._memory, self.run.record
        if memory.number and not self._is_done(record):
            return Step(Action.WAVE, memory.number, memory.budget)
        more = not self.run.ended and self.pace.more(memory.number)
        seen = self._look(more)
        decision = self._decide(controller, seen)
        budget = 0
        if decision.action is Action.WAVE:
            budget, any_left = self._ahead.count(decision)
            if not any_left:
                decision = self._decide(controller, replace(seen, more=False))
            elif budget < decision.least:
                wait = "for the outcome of signatures that may not send more"
                decision = Decision(Action.WAIT, seconds=decision.seconds, why=wait)
        if decision.action is Action.WAVE:
            memory.number, memory.budget = max(memory.number, record.wave) + 1, budget
            controller.sent(budget, seen.at)
        self._remember()
        return Step(decision.action, memory.number, budget, decision.seconds, decision.why)

    def _is_done(self, record: RunRecord) -> bool:
        """Say whether the ledger has all of the wave that was planned last."""
        memory = self._memory
        if record.wave > memory.number or self.run.ended:
            return True
        return record.wave == memory.number and record.wave_selected >= memory.budget

    def _look(self, more: bool) -> Seen:  # noqa: FBT001 - a fact about the pass
        self._watch.look()
        tallies = self._watch.tallies
        return Seen(
            self._clock(),
            self.run.queue.depth(Place.LIVE),
            more,
            tallies.sent,
            tallies.gone,
            tallies.bounced,
            tallies.stretches,
        )

    def _decide(self, controller: Controller, seen: Seen) -> Decision:
        """Ask the controller; keep what it stops from now on, and tell it."""
        before = set(controller.stopped)
        decision = controller.decide(seen)
        new = {key: why for key, why in controller.stopped.items() if key not in before}
        for key, why in new.items():
            tell(self._notebook, self.run.run_id, "signature-stopped", f"signature {key} was stopped: {why}")
        if new:
            self.run.decide.skip(new)
            self._ahead.skip(set(new))
        return decision

    def _open_controller(self) -> Controller | None:
        if self.pace.mode is not Mode.ADAPTIVE or self.pace.limits is None:
            return None
        if self._memory.controller is not None:
            return Controller(self.pace.limits, State.from_dict(self._memory.controller))
        frozen, limit = self.run.record.frozen, self.run.request.limit
        return Controller.fresh(self.pace.limits, frozen if limit is None else min(limit, frozen))

    def _remember(self) -> None:
        memory = self._memory
        memory.tallies = self._watch.tallies.as_dict()
        if self._controller is not None:
            memory.controller = self._controller.state.as_dict()
        remember(self._notebook, self.run.run_id, memory)
