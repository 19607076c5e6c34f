"""Approvals: who has to agree, whose answer stands, and when an answer is void."""

from datetime import UTC, datetime, timedelta

import pytest

from dlq.admission import approvals
from dlq.admission.approvals import Answer, Decision
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.policy_table import Policy
from dlq.engine.run import Kind
from dlq.errors import ApprovalError
from dlq.messages.edits import Edit
from dlq.records.timeline import timeline
from tests.unit.test_plan import plan

RUN, WAIT = "webhooks-1", timedelta(hours=1)
YES = Decision(answer=Answer.APPROVE, who="ada", why="fixed", by="ui")
NO = Decision(answer=Answer.REJECT, who="bob", by="slack")


def test_policy_says_what_needs_a_person() -> None:
    """Level 3, a large run, edits and drops; levels 1 and 2 and no level do not."""
    policy = Policy(approve_above=1_000)
    assert [approvals.reasons(policy, plan(), level) for level in (None, 1, 2)] == [(), (), ()]
    assert "level 3" in approvals.reasons(policy, plan(), 3)[0]
    assert "1,001" in approvals.reasons(policy, plan(801), 1)[0]
    edits = plan(edit=Edit(increment=("n",)))
    drops = plan().model_copy(update={"kind": Kind.DISCARD.value})
    assert approvals.reasons(policy, edits, 1) == ("messages are edited",)
    assert approvals.reasons(policy, drops, 1) == ("messages are dropped",)
    assert approvals.reasons(Policy(approve_edits=False, approve_drops=False), edits, 1) == ()


def test_the_first_answer_stands() -> None:
    """Two faces, two answers: the run sees one, and so does the one who came late; the timeline has both lines once."""
    notebook, asked = MemoryNotebook(), plan()
    approvals.ask(notebook, RUN, asked, ("level 3",), WAIT)
    assert [one.run_id for one in approvals.waiting(notebook)] == [RUN]
    assert approvals.decide(notebook, RUN, asked.hash, NO) == NO
    assert approvals.decide(notebook, RUN, asked.hash, YES) == NO
    assert approvals.decision(notebook, RUN, asked.hash) == NO
    assert approvals.waiting(notebook) == []
    told = {event.text.split(":")[0] for event in timeline(notebook, RUN)}
    assert told == {"waits for a person", f"rejected by bob (plan {asked.hash})"}


def test_an_answer_is_for_one_run_and_one_plan() -> None:
    """The same plan of another run is not approved by it, and neither is a later plan of this run."""
    notebook, asked, later = MemoryNotebook(), plan(), plan(900)
    for run in (RUN, "webhooks-2"):
        approvals.ask(notebook, run, asked, ("level 3",), WAIT)
    approvals.decide(notebook, RUN, asked.hash, YES)
    assert approvals.decision(notebook, "webhooks-2", asked.hash) is None
    approvals.ask(notebook, RUN, later, ("level 3",), WAIT)
    assert approvals.decision(notebook, RUN, later.hash) is None
    with pytest.raises(ApprovalError, match="void"):
        approvals.decide(notebook, RUN, asked.hash, NO)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Decision(answer=Answer.APPROVE, who="ada", limit=1_001), "only lower"),
        (Decision(answer=Answer.APPROVE, who="ada", at=datetime.now(UTC) + 2 * WAIT), "time"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_refused(answer: Decision, said: str) -> None:
    """It may only lower the plan's number, and not come too late; the run goes on waiting."""
    notebook = MemoryNotebook()
    approvals.ask(notebook, RUN, plan(), ("level 3",), WAIT)
    with pytest.raises(ApprovalError, match=said):
        approvals.decide(notebook, RUN, plan().hash, answer)
    assert len(approvals.waiting(notebook)) == 1
    with pytest.raises(ApprovalError, match="no answer"):
        approvals.decide(notebook, "webhooks-2", plan().hash, YES)


def test_a_form_is_read_with_its_bounds() -> None:
    """Prefect drops the bounds of a form with initial data: they hold here."""
    assert approvals.read_form({"answer": "approve", "who": "ada", "limit": 5}).limit == 5
    for wrong in ({"answer": "perhaps", "who": "ada"}, {"answer": "approve", "who": ""}, {"answer": "approve"}):
        with pytest.raises(ApprovalError, match=r"answer|who"):
            approvals.read_form(wrong)
    with pytest.raises(ApprovalError, match=r"who: .*at least 1.*limit: .*greater than or equal to 1"):
        approvals.read_form({"answer": "approve", "who": "  ", "limit": -3})
    assert approvals.read_form({"answer": "reject", "who": " ada "}).who == "ada"


def test_the_form_takes_what_was_answered_elsewhere() -> None:
    """A button or a command may give no why: the form says so then, since it refuses an empty one."""
    assert approvals.form_of(NO) == {"answer": "reject", "who": "bob", "why": "no reason given"}
    assert approvals.form_of(YES) == {"answer": "approve", "who": "ada", "why": "fixed"}


def test_the_next_look_is_at_a_fixed_moment() -> None:
    """Reminders come each half hour after the question, and the last look when its time is over."""
    question = approvals.ask(MemoryNotebook(), RUN, plan(), ("level 3",), WAIT)
    every, minute = timedelta(minutes=40), timedelta(minutes=1)
    assert approvals.next_look(question, every, question.at + minute) == question.at + every
    assert approvals.next_look(question, every, question.at + every + minute) == question.until
    assert approvals.next_look(question, timedelta(0), question.at) == question.until


def test_silence_is_a_rejection() -> None:
    """When the time is over and nobody answered; an answer that came in time stays."""
    notebook = MemoryNotebook()
    question = approvals.ask(notebook, RUN, plan(), ("level 3",), WAIT)
    assert approvals.close(notebook, question, question.at) is None
    closed = approvals.close(notebook, question, question.until)
    assert closed is not None
    assert (closed.approved, closed.by) == (False, "time-out")
    assert approvals.decide(notebook, RUN, plan().hash, YES) == closed


def test_a_retry_keeps_the_time() -> None:
    """Asking again after a crash neither begins the time anew nor writes a second line."""
    notebook = MemoryNotebook()
    first = approvals.ask(notebook, RUN, plan(), ("level 3",), WAIT)
    assert approvals.ask(notebook, RUN, plan(), ("level 3",), WAIT).until == first.until
    assert len(timeline(notebook, RUN)) == 1
