"""The run of a claimed incident: created, noted and counted."""

from deployments.receiver import incidents
from deployments.receiver.incidents import Incident
from deployments.receiver.starting import page
from deployments.receiver.tools import LOG, Receiver
from dlq.errors import RunRefusedError
from dlq.records.notebook import Notebook


async def create(receiver: Receiver, queue: str, incident: Incident) -> str:
    """Create the run of a claim and note it; say why Prefect refuses it for good, then the claim is withdrawn.

    PrefectUnreachableError and NotNowError leave the claim to whoever comes next.
    """
    try:
        seen = await receiver.prefect.create(incident.order)
    except RunRefusedError as exc:
        await receiver.notebooks.use(queue, lambda notebook: incidents.withdraw(notebook, incident))
        return str(exc)

    def note(notebook: Notebook) -> bool:
        run_id = incidents.note_run(notebook, incident.number, queue, seen)
        incidents.note_own_run(notebook, incident.order.key, run_id)
        return incidents.note_firing(notebook, incident.number, incident.order.key)

    if await receiver.notebooks.use(queue, note):  # else somebody else was faster, with the same run
        receiver.counters.runs.labels(queue).inc()
        LOG.info("%s: incident %s for %s: %s", queue, incident.number, incident.order.tags[-1], page(seen.id))
    return ""
