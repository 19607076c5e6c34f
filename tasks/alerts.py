"""Steps on what alerts say."""

from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from dlq.records.alerts import Alert
from dlq.records.stop import asked
from dlq.records.timeline import tell
from tasks.retries import step


@step("note-alert")
def note_alert(queue: str, run_id: str, alert: Alert) -> None:
    """Put the alert that a run is about into the run's timeline, at the moment it began to fire; twice is once."""
    with open_notebook(load_settings(), queue) as notebook:
        tell(notebook, run_id, "alert", f"{alert} (firing)", who="alertmanager", at=alert.starts_at)


@step("called-off")
def called_off(queue: str, run_id: str) -> str:
    """Say who asked the run to stop, and why, before it has moved anything; an empty text: nobody did."""
    with open_notebook(load_settings(), queue) as notebook:
        request = asked(notebook, run_id)
    return request.note if request else ""
