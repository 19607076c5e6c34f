"""What a run does with each message, decided many at once."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlq.brokers.base import REDRIVE
from dlq.config.settings import QueueConfig
from dlq.engine.decide import Choose
from dlq.messages.edits import Edit
from dlq.messages.reading import Reading
from dlq.messages.selectors import Selector
from tests.strategies import MESSAGES

CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
KINDS = ["webhook", "invoice", "5", "t", "é"]
TYPED = st.builds(
    lambda kind, key, rest: orjson.dumps({key: kind, **rest}),
    st.sampled_from([*KINDS, 5, True, None, "", [], {}, 1.5]),
    st.sampled_from(["type", "type", "event"]),
    st.fixed_dictionaries(
        {}, optional={"id": st.integers(0, 3), "error": st.sampled_from(["E: 1", "E: 22", ""]), "event": st.just("5")}
    ),
)
SELECTORS = [
    Selector(types=("webhook",)),
    Selector(types=("5", "t")),
    Selector(types=("t",), error="22"),
    Selector(types=("webhook", "é"), corrupted=None),
    Selector(types=("webhook",), corrupted=True),
    Selector(types=("5",), older_than="PT1H", now=datetime(2026, 3, 1, tzinfo=UTC)),
]


def slowly(selector: Selector, messages: list[bytes]) -> tuple[bytes, list[bytes]]:
    """Ask the selector about the envelope of each message."""
    reading = Reading.of(CONFIG)
    actions, identities = b"", []
    for raw in messages:
        envelope = reading.reader.read(raw)
        yes = selector.matches(envelope, reading.book.signature(reading.book.code(envelope)))
        actions += b"m" if yes else b"k"
        identities += [reading.identifier.identity(envelope)] * yes
    return actions, identities


@pytest.mark.parametrize("selector", SELECTORS, ids=Selector.describe)
@given(messages=st.lists(TYPED | MESSAGES, max_size=12))
@settings(max_examples=100)
def test_messages_of_other_types_are_passed_over_and_no_others(selector: Selector, messages: list[bytes]) -> None:
    """What is selected, and the identities in the ledger, are what each envelope alone says."""
    messages = messages + messages[::-1] + messages
    choose = Choose(REDRIVE, selector, Edit(), Reading.of(CONFIG))
    verdict = choose(messages)
    actions = verdict.actions * len(messages) if len(verdict.actions) == 1 else verdict.actions
    assert len(verdict.codes) == len(messages)
    assert (actions, [entry[-8:] for entry in verdict.entries]) == slowly(selector, messages)
