"""The step that finds out whose messages lie in a DLQ, before anything moves them."""

from prefect import get_run_logger

from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.summaries.customers import affected, remember
from tasks.retries import step


@step("customers")
def find_customers(queue: str, run_id: str) -> None:
    """Count the messages in the DLQ by customer and keep that for the run's report, where a field is configured."""
    settings = load_settings()
    if settings.queue(queue).fields.customer is None:
        return
    with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
        found = affected(broker, config)
        if found is not None:
            kept = remember(notebook, run_id, found)
            get_run_logger().info("%d customers are affected", kept.customers)
