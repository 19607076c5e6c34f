"""Notices without a server: what is not set up is said, and nothing is ever raised."""

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.settings import Settings
from dlq.notices import Notice, Reached, deliveries, send
from dlq.notices.incident import note_incident, read_incident

NOTICE = Notice("resolved", "webhooks", "All is well", run_id="webhooks-1")


def test_nothing_set_up_is_said() -> None:
    """Both kinds of channels are reported as not configured, and the run remembers it."""
    notebook = MemoryNotebook()
    found = send(Settings(), notebook, NOTICE)
    assert [(one.channel, one.reached) for one in found] == [
        ("slack", Reached.NOT_CONFIGURED),
        ("apprise", Reached.NOT_CONFIGURED),
    ]
    assert {one.channel for one in deliveries(notebook, "webhooks-1")} == {"slack", "apprise"}
    assert not any(one.missed for one in found)


def test_the_first_depth_of_an_incident_stands() -> None:
    """A flow run that is retried looks again, when a part of the messages has been moved: that is its depth now."""
    notebook = MemoryNotebook()
    for depth in (500, 20):
        note_incident(notebook, "webhooks-1", depth_first=depth, depth=depth)
    found = read_incident(notebook, "webhooks-1", "webhooks")
    assert (found.depth_first, found.depth) == (500, 20)
