"""Firing alerts of a queue: they start its incident, or join the one that there is.

Each turn of the loop reads what is known, does one durable thing and reads again; whatever another post or another
receiver did in between is then part of what is known. Posts do not wait for one another, only for the same answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from deployments.receiver import brokers, incidents
from deployments.receiver.answers import NotNowError
from deployments.receiver.cap import cry_out
from deployments.receiver.choosing import order
from deployments.receiver.creating import create
from deployments.receiver.incidents import Incident, Standing
from deployments.receiver.outcomes import Outcome, Result
from deployments.receiver.payload import FiringOrResolved
from deployments.receiver.starting import page
from deployments.receiver.tools import LOG, WHO, Receiver
from dlq.errors import PrefectUnreachableError
from dlq.records.notebook import Notebook
from dlq.records.timeline import tell

T = TypeVar("T")

_TURNS = 20
_NAMED = 10  # alerts named in one line of a timeline


@dataclass(slots=True)
class Firing:
    """The firing alerts of one post on one queue, by key."""

    receiver: Receiver
    queue: str
    alerts: dict[str, FiringOrResolved]
    results: list[Result] = field(default_factory=list)
    _claimed: set[str] = field(default_factory=set)

    async def take_in(self) -> list[Result]:
        """Say what became of each; errors are PrefectUnreachableError and NotNowError, then send them again."""
        for _ in range(_TURNS):
            known, started = await self._note(partial(_read, keys=list(self.alerts)))
            if known.newest is not None and known.newest.flow_run is None:
                await self._create(known.newest)
                continue
            newest = await self._with_end(known, started)
            await self._repeat(known, newest, started)
            await self._join([key for key in self.alerts if self._belongs(newest, key)], newest)
            held_by = await self._holder() if self.alerts else ""
            if newest is not None and held_by == newest.run_id and newest.flow_run is not None:
                await self._look_again(newest, newest.flow_run)
                continue
            if not self.alerts or await self._held_by_others(held_by) or self._capped(known):
                return self.results
            await self._claim(known)
        raise NotNowError(f"queue {self.queue}: too many alerts at once; send this again.")

    async def _create(self, incident: Incident) -> None:
        """Create the run of a claim, ours or one that somebody left behind, and note it; once for all that wait."""
        why = await self.receiver.together(
            ("create", self.queue, incident.number, incident.order.key),
            lambda: create(self.receiver, self.queue, incident),
        )
        if why:
            self._refused(incident, why)

    async def _claim(self, known: Standing) -> None:
        """Claim the next incident for the first alert that is left."""
        key, alert = next(iter(self.alerts.items()))
        if await self._note(
            partial(incidents.claim, known=known, order=order(self.receiver.settings, alert, self.queue))
        ):
            self._claimed.add(key)

    async def _with_end(self, known: Standing, started: Mapping[str, str]) -> Incident | None:
        """Give the newest incident with the end of its run, if that has come."""
        newest = known.newest
        if newest is None or newest.flow_run is None or newest.ended is not None:
            return newest
        try:
            seen = await self.receiver.look(newest.flow_run)
        except PrefectUnreachableError:
            if all(known.firing(key) or key in started for key in self.alerts):
                return newest  # each has its run, durably: nothing is lost by saying so
            raise
        ended = seen.ended if seen else newest.at
        if ended is not None:
            await self._note(partial(incidents.note_end, number=newest.number, ended=ended))
        return replace(newest, ended=ended)

    async def _repeat(self, known: Standing, newest: Incident | None, started: Mapping[str, str]) -> None:
        """Set aside the alerts that have had a run of their own, or belong to the newest incident already.

        One that joined, and still fires when that is over, may start the next; but not for its own sake: rules that
        look back an hour go on firing over an empty DLQ.
        """
        over = newest is not None and newest.ended is not None and not self._settling(newest.ended)
        if over and any(known.firing(key) and key not in started for key in self.alerts):
            over = await self._over_threshold()
        for key in list(self.alerts):
            if key in self._claimed and key in started:
                self._result(key, Outcome.STARTED, newest)
            elif key in started:
                self._result(key, Outcome.REPEATED, None, run_id=started[key])
            elif key in known.alerts and not (over and known.firing(key)):
                self._result(key, Outcome.REPEATED, newest)

    def _belongs(self, newest: Incident | None, key: str) -> bool:
        """Say whether a new alert is about the newest incident: that goes on, or has only just ended."""
        if newest is None:
            return False
        if newest.ended is None:
            return True
        return self._settling(newest.ended) and self.alerts[key].since <= newest.ended

    def _settling(self, ended: datetime) -> bool:
        return datetime.now(UTC) - ended <= timedelta(seconds=self.receiver.settings.receiver_settle)

    async def _join(self, keys: Sequence[str], newest: Incident | None) -> None:
        """Let alerts join the newest incident, with a line in its timeline."""
        if newest is None or not keys:
            return

        def note(notebook: Notebook) -> None:
            new = [key for key in keys if incidents.note_firing(notebook, newest.number, key)]
            if new:
                tell(notebook, newest.run_id, "alert", f"fires too: {self._names(new)}", who=WHO)

        await self._note(note)
        for key in keys:
            self._result(key, Outcome.JOINED, newest)

    async def _look_again(self, newest: Incident, flow_run: UUID) -> None:
        """Look whether the newest incident, which had ended and still holds the queue, goes on: people can retry it."""
        seen = await self.receiver.look(flow_run)
        if seen is None or seen.ended is not None:
            raise NotNowError(f"queue {self.queue}: run {newest.run_id} has ended, and its lock has yet to expire.")
        await self._note(partial(incidents.forget_end, number=newest.number))

    async def _held_by_others(self, held_by: str) -> bool:
        """Let alerts join a run that people began; nothing is noted, so they start one when they come after it."""
        if not held_by:
            return False
        said = f"fires during this run: {self._names(list(self.alerts))}"
        await self._note(lambda notebook: tell(notebook, held_by, "alert", said, who=WHO))
        for key in list(self.alerts):
            self._result(key, Outcome.JOINED, None, note=f"run {held_by} holds the queue", run_id=held_by)
        return True

    def _capped(self, known: Standing) -> bool:
        """Hold the alerts back when there were too many incidents within an hour, and say so loudly, once."""
        most = self.receiver.settings.receiver_incidents_per_hour
        if known.lately < most:
            return False
        note = f"{known.lately} automatic incidents in the last hour; DLQ_RECEIVER_INCIDENTS_PER_HOUR allows {most}"
        names = self._names(list(self.alerts))
        LOG.error("%s: held back: %s. %s", self.queue, names, note)
        self.receiver.counters.capped.labels(self.queue).inc(len(self.alerts))
        self.receiver.later(cry_out(self.receiver, self.queue, known, f"{note}. Held back: {names}."))
        for key in list(self.alerts):
            self._result(key, Outcome.CAPPED, known.newest, note=note)
        return True

    def _refused(self, incident: Incident, why: str) -> None:
        """Give up on the alerts whose run would be refused for the same reason."""
        rules = self.receiver.settings
        for key, alert in list(self.alerts.items()):
            if key == incident.order.key or rules.alert_rule(alert.name).deployment == incident.order.deployment:
                self._result(key, Outcome.REFUSED, None, note=why)

    def _result(
        self, key: str, outcome: Outcome, incident: Incident | None, *, note: str = "", run_id: str = ""
    ) -> None:
        link = page(incident.flow_run) if incident and incident.flow_run and not run_id else ""
        name = run_id or (incident.run_id if incident else "")
        self.results.append(Result(self.alerts.pop(key), self.queue, outcome, name, link, note))

    def _names(self, keys: Sequence[str]) -> str:
        named = [str(self.alerts[key].about(self.queue)) for key in keys[:_NAMED]]
        return "; ".join(named) + (f"; and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")

    async def _holder(self) -> str:
        return await self.receiver.together(
            ("holder", self.queue), lambda: brokers.holder(self.receiver.settings, self.queue)
        )

    async def _over_threshold(self) -> bool:
        return bool(
            await self.receiver.together(
                ("depth", self.queue), lambda: brokers.over_threshold(self.receiver.settings, [self.queue])
            )
        )

    async def _note(self, work: Callable[[Notebook], T]) -> T:
        return await self.receiver.notebooks.use(self.queue, work)


def _read(notebook: Notebook, keys: Sequence[str]) -> tuple[Standing, dict[str, str]]:
    """Read what is known of the queue, and which alerts have had a run of their own: its name, by key."""
    known = incidents.standing(notebook)
    unknown = [key for key in keys if not known.firing(key)]
    newest = known.newest
    own = {newest.order.key: newest.run_id} if newest is not None and newest.flow_run is not None else {}
    return known, own | {key: run_id for key in unknown if (run_id := incidents.own_run(notebook, key)) is not None}
