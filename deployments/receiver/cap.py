"""The loud end of automatic incidents: too many in an hour mean that draining does not help."""

from deployments.receiver import incidents
from deployments.receiver.incidents import Standing
from deployments.receiver.starting import page
from deployments.receiver.tools import Receiver
from dlq import notices
from dlq.config.policy import Severity
from dlq.notices import Notice
from dlq.records.notebook import Notebook


async def cry_out(receiver: Receiver, queue: str, known: Standing, why: str) -> None:
    """Tell people once, until there is another incident, that nothing more is started by itself."""
    newest = known.newest
    notice = Notice(
        "alert",
        queue,
        f"{queue}: draining does not help; nothing more is started by itself",
        f"{why} Find out why the messages come back. `dlq drain {queue}` still works.",
        Severity.CRITICAL,
        newest.run_id if newest else "",
        level=2,
        link=page(newest.flow_run) if newest and newest.flow_run else "",
    )

    def cry(notebook: Notebook) -> None:
        if incidents.trip(notebook, known):
            notices.send(receiver.settings, notebook, notice)

    await receiver.notebooks.use(queue, cry)
