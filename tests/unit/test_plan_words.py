"""Plans in words: what a person reads before saying yes."""

from datetime import UTC, datetime, timedelta

from dlq.admission import plan_words
from dlq.admission.approvals import Asked
from dlq.engine.run import Kind
from tests.unit.test_plan import plan

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
ASKED = Asked(run_id="webhooks-1", plan=plan(), reasons=("level 3",), at=AT, until=AT + timedelta(hours=4))


def test_a_question_says_what_why_and_until_when() -> None:
    """In two sentences; a discard has no pace to be told."""
    short = plan_words.question(ASKED, UTC)
    assert "Drain 1,000 of 1,000 messages of webhooks: waves of 100" in short
    assert "because level 3" in short
    assert "13:00 UTC" in short
    assert plan_words.summary(plan().model_copy(update={"kind": Kind.DISCARD.value})) == (
        "Discard 1,000 of 1,000 messages of webhooks"
    )


def test_the_form_says_what_each_answer_does() -> None:
    """What is asked, by whom, why, what comes of it, and the plan once; numbers stand where no column is cut off."""
    whole = plan_words.form(ASKED, UTC, request="bob: the gateway | mail is back")
    assert whole.startswith("**Drain 1,000 of 1,000 messages of webhooks?** A person has to agree because level 3.")
    assert whole.count("1,000 of 1,000") == 1
    for said in (
        "- asked for by bob: the gateway \\| mail is back",
        "- approve: they go back to the live queue",
        "- reject: nothing is moved",
        "- no answer until 2026-11-25 13:00 UTC: it is rejected",
        "- expected duration: 4m30s",
        "- expected bounces: unknown",
        "| 800 | - | webhook · TimeoutError |",
    ):
        assert said in whole
    discard = ASKED.model_copy(update={"plan": plan().model_copy(update={"kind": Kind.DISCARD.value})})
    assert "- approve: they are dropped, once an archive has them" in plan_words.form(discard, UTC)
    assert "waves" not in plan_words.form(discard, UTC)


def test_the_form_begins_with_what_was_wrong_with_an_answer() -> None:
    """A person who is asked again sees at once why."""
    whole = plan_words.form(ASKED, UTC, trouble="an answer could not be used: the limit is too high")
    assert whole.startswith("**An answer could not be used: the limit is too high.** Nothing was moved.\n")


def test_strange_texts_do_not_break_the_table() -> None:
    """A signature with a bar or a tag stays in its cell."""
    odd = plan().signatures[0].model_copy(update={"text": "a | <b>\nc"})
    lines = plan_words.markdown(plan().model_copy(update={"signatures": (odd,)})).splitlines()
    assert "| 800 | - | a \\| &lt;b&gt; c |" in lines
