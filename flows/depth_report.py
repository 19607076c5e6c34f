"""Regular maintenance, daily: how deep the DLQs are and were, what came, what was drained, who is over a threshold.

Alert: none; it runs each night (`depth-report/nightly`), and whenever somebody asks.
Before: nothing; each DLQ is read once, and the workers may go on. Prometheus (DLQ_PROMETHEUS_URL) gives the depth over
the day; without it the report has what samples were kept, and says so.
Settings: DLQ_REDIS_URL, dlq.toml (DLQ_CONFIG) for the queues and thresholds, DLQ_TIMEZONE for the schedule and for what
a day is, DLQ_HOME for the picture, and whatever channels people are told through (DLQ_SLACK_*, DLQ_NOTIFY_URLS).
Undo: nothing to undo.
"""

from typing import Any

from prefect import flow

from flows import parameters as p
from flows.alarm import tell_of_missing_report
from flows.identity import current_run, report_name
from tasks.queues import queue_names
from tasks.reporting import look_at_the_day, publish_depth_report, tell_report


@flow(
    name="depth-report",
    flow_run_name=report_name,
    on_failure=[tell_of_missing_report],
    on_crashed=[tell_of_missing_report],
)
def depth_report(queue: p.QueueNames = "all", tell: p.Tell = True) -> list[dict[str, Any]]:
    """Report the depth of the DLQs, what came since the day before and why, and tell people."""
    names = queue_names(queue)
    summary, notice = publish_depth_report([look_at_the_day(name) for name in names])
    if tell:
        tell_report(names[0], str(current_run().id), notice)
    return summary
