"""What a run did around its queue is written down first, and the first value counts."""

from dlq.actions.book import Book, State
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.records.timeline import timeline


def test_of_two_processes_the_first_one_s_value_counts() -> None:
    """Both looked before either wrote: the second saw the count after the scaling, and it does not stand."""
    notebook = MemoryNotebook()
    Book(notebook, "run-1").intend("scale:w", "scale", "w", 3, 10)
    assert Book(notebook, "run-1").intend("scale:w", "scale", "w", 10, 10).before == 3


def test_runs_have_books_of_their_own() -> None:
    """What one run did is not undone with another."""
    notebook = MemoryNotebook()
    Book(notebook, "run-1").intend("scale:w", "scale", "w", 3, 10)
    assert Book(notebook, "run-2").actions() == []


def test_a_state_is_told_once() -> None:
    """A retry that comes to the same end adds nothing to the timeline."""
    notebook = MemoryNotebook()
    book = Book(notebook, "run-1", "ada")
    done = book.settle(book.intend("scale:w", "scale", "w", None, 10), State.DONE)
    assert book.settle(done, State.DONE) == done
    assert [event.text for event in timeline(notebook, "run-1")] == ["scale w: unknown → 10, done"]
    assert book.find("scale:w") == done
