"""Steps that call the next level when an incident is not resolved in time, or gets worse."""

from datetime import datetime

from prefect import get_run_logger

from dlq.admission import escalation
from dlq.brokers.base import Place
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.notices import Notice, send
from dlq.summaries import samples
from tasks.retries import step


@step("escalate")
def escalate_run(queue: str, run_id: str, since: datetime | None = None) -> list[str]:
    """Call whoever is due by now, each level once a run; `since` begins the timer of a run that has none yet."""
    settings = load_settings()
    with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
        began = escalation.since(notebook, run_id, since)
        if began is None:
            return []
        growth = samples.growth_per_minute(samples.recent(notebook))
        state = escalation.State(broker.depth(Place.DLQ), growth)
        calls = escalation.escalate(notebook, config, settings.policy_of(queue), run_id, state, began)
        for call in calls:
            title = f"{queue}: level {call.level.number} is called, {call.level.who}"
            send(settings, notebook, Notice("escalation", queue, title, call.words, None, run_id, call.level.number))
            escalation.called(notebook, run_id, call)
    for call in calls:
        get_run_logger().warning("%s", call.words)
    return [call.words for call in calls]
