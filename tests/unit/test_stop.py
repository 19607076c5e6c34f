"""Asking a run to stop: the first request counts, and the loop obeys it between two waves."""

from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.engine.run import Kind, Request, Run, start
from dlq.engine.sift import Wave
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace
from dlq.records.stop import ask, asked
from dlq.records.timeline import timeline
from tests.integration.conformance import CONFIG, MemoryDesk, letter


def test_the_first_request_counts() -> None:
    """The second is told who asked before; the timeline has one line."""
    notebook = MemoryNotebook()
    assert asked(notebook, "r1") is None
    first = ask(notebook, "r1", "alert resolved", "alertmanager")
    assert ask(notebook, "r1", "me too", "ada") == first == asked(notebook, "r1")
    assert [(event.kind, event.who) for event in timeline(notebook, "r1")] == [("stop", "alertmanager")]
    assert asked(notebook, "r2") is None


def test_a_run_ends_after_the_wave_in_hand() -> None:
    """Asked during wave 2, it does no third one, and is closed as done with who and why; the order stays."""
    desk, notebook = MemoryDesk(), MemoryNotebook()
    letters = [letter(number) for number in range(40)]
    desk.put(*letters)
    request = Request(Kind.DRAIN, "ada")

    def on_wave(run: Run, wave: Wave) -> None:
        if wave.number == 2:
            ask(notebook, run.run_id, "enough", "bob")

    record = drive(
        lambda: start(desk.queue, CONFIG, request, "r1"),
        Pace(batch=5, pause=0),
        lambda _seconds: None,
        on_wave,
        notebook,
    )
    assert (record.state, record.redriven, record.facts["note"]) == ("done", 10, "stopped by bob: enough")
    assert desk.show() == letters[10:]
