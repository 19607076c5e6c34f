"""Regular maintenance, weekly: patterns of the week, its runs, and thresholds that the data would propose.

Alert: none; it runs on Monday mornings (`weekly-review/weekly`), and whenever somebody asks.
Before: the nightly report has run: its days are what the signatures of the week are made of. The depth over the week
comes from Prometheus (DLQ_PROMETHEUS_URL), else from the samples that were kept, and the review says so.
Settings: DLQ_REDIS_URL, dlq.toml (DLQ_CONFIG) for the queues and thresholds, DLQ_TIMEZONE, DLQ_HOME for the picture.
Undo: nothing to undo. Thresholds are proposed, never set.
"""

from typing import Any

from prefect import flow

from flows import parameters as p
from flows.alarm import tell_of_missing_report
from flows.identity import current_run, report_name
from tasks.queues import queue_names
from tasks.reporting import look_at_the_week, publish_weekly_review, tell_report


@flow(
    name="weekly-review",
    flow_run_name=report_name,
    on_failure=[tell_of_missing_report],
    on_crashed=[tell_of_missing_report],
)
def weekly_review(queue: p.QueueNames = "all", tell: p.Tell = True) -> list[dict[str, Any]]:
    """Review the week: signatures new or rising, runs and their outcomes, thresholds proposed with the reason."""
    names = queue_names(queue)
    summary, notice = publish_weekly_review([look_at_the_week(name) for name in names])
    if tell:
        tell_report(names[0], str(current_run().id), notice)
    return summary
