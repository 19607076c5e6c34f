"""Dry runs on a queue in memory: they say what the run itself would do."""

from datetime import UTC, datetime

import pytest

from dlq.engine.preview import preview
from dlq.engine.run import Kind, Request, start
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Mode, Pace
from tests.integration.conformance import CONFIG, MemoryDesk, letter


@pytest.mark.parametrize(
    ("pace", "limit", "expected"),
    [
        (Pace(Mode.FIXED, 10, 0, 3), None, 30),
        (Pace(Mode.FIXED, 10, 0, 3), 7, 7),
        (Pace(Mode.FIXED, 10, 0, 0), None, 50),
        (Pace(Mode.NONE, 20, 0, 2), None, 40),
        (Pace.unpaced(), None, 50),
    ],
)
def test_a_dry_run_selects_as_many_as_the_run(pace: Pace, limit: int | None, expected: int) -> None:
    """The batches of a pace bound a run as its limit does: a person says yes to what really moves."""
    desk = MemoryDesk()
    desk.put(*(letter(number, error="TimeoutError: slow") for number in range(50)))
    request = Request(Kind.DRAIN, "ada", "", Selector(now=datetime.now(UTC)), pace=pace.as_parameters(), limit=limit)
    queue = desk.queue
    seen = preview(queue, CONFIG, request)
    assert seen.selected == sum(seen.types.values()) == expected
    record = drive(lambda: start(queue, CONFIG, request, "webhooks-1"), pace, lambda _: None, lambda _run, _wave: None)
    assert record.selected == expected
