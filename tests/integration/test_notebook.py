"""What every notebook has to do, the same on real servers and in memory."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.records.notebook import Entry, Notebook
from dlq.records.timeline import tell, timeline
from tests.integration.conformance import ADAPTERS, open_desk

NOW = datetime.now(UTC).replace(microsecond=123_000)


@pytest.fixture(params=ADAPTERS)
def notebook(request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """Give an empty notebook on each adapter and each server."""
    if request.param == "memory":
        yield MemoryNotebook()
        return
    desk = open_desk(request.param, request)
    found = desk.notebook()
    yield found
    found.close()
    client: Any = desk.client  # type: ignore[attr-defined]
    assert [key for key in client.keys("*") if client.pttl(key) < 0] == [], "a page or log that never expires"
    desk.close()


def test_a_page_keeps_its_fields(notebook: Notebook) -> None:
    """Fields are written over, added and taken off; other pages stay."""
    notebook.note("budget", {"a": "1", "b": "zwei é"})
    notebook.note("other", {"a": "9"})
    notebook.note("budget", {"a": "2"})
    assert notebook.notes("budget") == {"a": "2", "b": "zwei é"}
    notebook.erase("budget", "a")
    assert notebook.notes("budget") == {"b": "zwei é"}
    notebook.erase("budget")
    assert (notebook.notes("budget"), notebook.notes("other")) == ({}, {"a": "9"})


def test_fields_are_picked_from_a_page(notebook: Notebook) -> None:
    """Those that are not there are left out, however many are asked for."""
    notebook.note("page", {str(number): f"text {number}" for number in range(2_500)})
    asked = [str(number) for number in range(1_000, 3_000)]
    assert notebook.pick("page", asked) == {str(number): f"text {number}" for number in range(1_000, 2_500)}
    assert notebook.pick("page", []) == notebook.pick("nowhere", ["a"]) == {}


def test_the_first_to_note_once_wins(notebook: Notebook) -> None:
    """The second is told what the first wrote."""
    assert notebook.note_once("alerts", "f1", "run-1") == "run-1"
    assert notebook.note_once("alerts", "f1", "run-2") == "run-1"


def test_counting_gives_the_sum(notebook: Notebook) -> None:
    """A number that nobody wrote begins at 0."""
    assert [notebook.count("seen", "x"), notebook.count("seen", "x", 41), notebook.count("seen", "x", -2)] == [
        1,
        42,
        40,
    ]


def test_a_log_reads_in_the_order_of_time(notebook: Notebook) -> None:
    """Whatever the order of writing; the same entry twice is there once; what is equal but for its time stays."""
    entries = [Entry(NOW + timedelta(seconds=second), text) for second, text in ((0, "a b"), (1, "a b"), (2, "c\nd"))]
    for entry in (entries[2], entries[0], entries[1], entries[0]):
        notebook.append("samples", entry)
    assert notebook.log("samples") == entries
    assert notebook.log("samples", since=entries[1].at) == entries[1:]
    assert notebook.log("samples", limit=1) == entries[2:]
    assert notebook.log("nothing") == []


def test_a_timeline_tells_who_did_what(notebook: Notebook) -> None:
    """Events of one run, in order; another run's are apart."""
    later = tell(notebook, "r1", "approval", 'approved "all"', who="ada", at=NOW + timedelta(seconds=5))
    first = tell(notebook, "r1", "alert", "HighDLQDepth fires", at=NOW)
    tell(notebook, "r2", "alert", "another", at=NOW)
    assert timeline(notebook, "r1") == [first, later]
