"""What a run's first attempt saw is what its later attempts tell of."""

from hypothesis import given
from hypothesis import strategies as st

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.engine.assess import assess
from dlq.summaries import first_look
from tests.integration.conformance import CONFIG, MemoryDesk
from tests.strategies import MESSAGES


@given(st.lists(MESSAGES, max_size=20), st.sampled_from([None, 0.0, 250.5]))
def test_an_assessment_comes_back_as_it_was_kept(messages: list[bytes], growth: float | None) -> None:
    """Whatever lay in the queue, every count, time and name is the same afterwards; of another run there is none."""
    desk, notebook = MemoryDesk(), MemoryNotebook()
    desk.put(*messages)
    found = assess(desk.queue, CONFIG, growth_per_minute=growth)
    first_look.keep(notebook, "webhooks-1", found)
    assert first_look.kept(notebook, "webhooks-1") == found
    assert first_look.kept(notebook, "webhooks-2") is None
