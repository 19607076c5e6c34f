"""The table of breaks stays true: each names a test that exists, and a place that can be broken."""

from pathlib import Path

import pytest

from tests.sabotage.breaks import BREAKS, Break
from tests.sabotage.plugin import place_of

FOLDER = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: fault.journey)
def test_a_break_has_its_journey_and_its_place(fault: Break) -> None:
    """The test is in its file, and what takes the place of the right thing is another one."""
    journey = fault.journey.partition("[")[0]
    assert f"def {journey}(" in (FOLDER / fault.file).read_text()
    holder, name = place_of(fault)
    there = getattr(holder, name)
    assert fault.made(there) is not there
