"""Resolved alerts of a queue: its incident is called off before it begins, ends early, or is told."""

from collections.abc import Mapping
from functools import partial

from deployments.receiver import incidents
from deployments.receiver.incidents import Incident
from deployments.receiver.outcomes import Outcome, Result
from deployments.receiver.payload import FiringOrResolved
from deployments.receiver.starting import page
from deployments.receiver.tools import LOG, WHO, Receiver
from dlq.records import stop
from dlq.records.notebook import Notebook
from dlq.records.timeline import tell


async def take_in(receiver: Receiver, queue: str, alerts: Mapping[str, FiringOrResolved]) -> list[Result]:
    """Say what became of each; errors are PrefectUnreachableError and NotNowError, then send them again.

    What they lead to is done before they are noted as resolved: dying in between, the same post does it again.
    """
    known, own = await receiver.notebooks.use(queue, partial(_read, keys=list(alerts)))
    newest = known.newest
    mine = [key for key in alerts if known.firing(key)]
    if mine and newest is not None:
        names = "; ".join(sorted({alerts[key].name for key in mine}))
        others = known.others_firing(mine)
        if others:
            said = f"resolved: {names}; {others} more of this incident still fire"
            await receiver.notebooks.use(queue, partial(_tell, run_id=newest.run_id, said=said))
        else:
            await _call_off(receiver, queue, newest, names)
        await receiver.notebooks.use(queue, partial(incidents.note_resolved, number=newest.number, keys=mine))
    results = []
    for key, alert in alerts.items():
        if newest is not None and key in known.alerts:
            outcome = Outcome.RESOLVED if key in mine else Outcome.REPEATED
            link = page(newest.flow_run) if newest.flow_run else ""
            results.append(Result(alert, queue, outcome, newest.run_id, link))
        elif key in own:
            said = f"resolved: {alert.name}"
            await receiver.notebooks.use(queue, partial(_tell, run_id=own[key], said=said))
            results.append(Result(alert, queue, Outcome.RESOLVED, own[key]))
        else:
            results.append(Result(alert, queue, Outcome.UNKNOWN))
    return results


async def _call_off(receiver: Receiver, queue: str, incident: Incident, names: str) -> None:
    """End an incident whose alerts have all resolved, as far as it has come.

    The stop is asked for first: a run that begins at this very moment then moves nothing, whatever Prefect makes of
    the cancellation.
    """
    seen = await receiver.prefect.look(incident.flow_run) if incident.flow_run else None
    if seen is None or seen.ended is not None:
        await receiver.notebooks.use(queue, partial(_tell, run_id=incident.run_id, said=f"resolved: {names}"))
        return
    why = f"resolved: {names}"
    await receiver.notebooks.use(queue, lambda notebook: stop.ask(notebook, incident.run_id, why, WHO))
    if seen.waits:
        await receiver.prefect.cancel(seen.id, f"{why}, before the first move")
    LOG.info("%s: %s; run %s %s", queue, why, incident.run_id, "cancelled" if seen.waits else "asked to stop")


def _read(notebook: Notebook, keys: list[str]) -> tuple[incidents.Standing, dict[str, str]]:
    known = incidents.standing(notebook)
    unknown = [key for key in keys if key not in known.alerts]
    return known, {key: run_id for key in unknown if (run_id := incidents.own_run(notebook, key)) is not None}


def _tell(notebook: Notebook, run_id: str, said: str) -> None:
    tell(notebook, run_id, "resolved", said, who=WHO)
