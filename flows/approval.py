"""Look after a plan that waits for a person: remind, and reject it when its time is over.

Alert: none; a run that waits schedules this by itself, at each reminder's time and at the end.
Before: the run asked (`dlq approve RUN` and the form in the Prefect UI answer the same question).
Settings: `approval_reminder` and `approval_timeout` in the policy.
Undo: nothing to undo; a rejected run can be retried, and asks again.
"""

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from dlq.durations import format_duration
from dlq.notices import Notice
from flows import parameters as p
from flows.identity import run_name
from tasks.approving import look_at_question, notice_text, remind_later, wake
from tasks.escalating import escalate_run
from tasks.telling import tell_people


@flow(name="approval", flow_run_name=run_name)
def approval(queue: p.QueueName, run_id: p.RunId) -> State[Any]:
    """Remind people of the question that a run asks; wake the run when it is answered or its time is over."""
    escalate_run(queue, run_id)
    seen = look_at_question(queue, run_id)
    if seen is None:
        return Completed(message="Nothing is asked.")
    asked, decision = seen
    if decision is not None:
        woken = wake(asked, decision)
        return Completed(message=f"{decision.words}; the run {'goes on' if woken else 'waits no longer'}")
    # Each reminder says something else: the same notice of a run is told once.
    title = f"{queue}: a plan waits for a person, for {format_duration(datetime.now(UTC) - asked.at)} by now"
    tell_people(queue, Notice("approval", queue, title, notice_text(asked), run_id=run_id))
    remind_later(queue, run_id, asked)
    return Completed(message="Reminded.")
