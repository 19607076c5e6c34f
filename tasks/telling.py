"""Steps that tell people: through Slack, and through whatever else is set up. Telling never fails a run."""

from prefect import get_run_logger

from dlq.notices import Delivery, Notice, send
from dlq.opening import open_notebook
from dlq.settings import load_settings
from tasks.retries import step


@step("tell")
def tell_people(queue: str, notice: Notice) -> list[Delivery]:
    """Tell a notice through every channel that is set up; the same notice of a run is told once."""
    settings = load_settings()
    with open_notebook(settings, queue) as notebook:
        found = send(settings, notebook, notice)
    for delivery in found:
        get_run_logger().info("%s: %s %s", delivery.channel, delivery.reached, delivery.note)
    return found
