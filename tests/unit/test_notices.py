"""Notices without a server: what is not set up is said, and nothing is ever raised."""

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.settings import Settings
from dlq.notices import Notice, Reached, deliveries, send

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
