"""Plans in words: what a person reads before saying yes."""

from datetime import UTC, datetime, timedelta

from dlq.admission import plan_words
from dlq.admission.approvals import Asked
from dlq.engine.run import Kind
from tests.unit.test_plan import plan

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)


def test_a_question_says_what_why_and_until_when() -> None:
    """Once, and the details only where there is room; a discard has no pace to be told."""
    asked = Asked(run_id="webhooks-1", plan=plan(), reasons=("level 3",), at=AT, until=AT + timedelta(hours=4))
    short = plan_words.question(asked, UTC, short=True)
    assert "Drain 1,000 of 1,000 messages of webhooks: waves of 100" in short
    assert "because level 3" in short
    assert "13:00 UTC" in short
    whole = plan_words.question(asked, UTC)
    assert whole.count("1,000 of 1,000") == 1
    assert "TimeoutError" in whole
    assert plan_words.summary(plan().model_copy(update={"kind": Kind.DISCARD.value})) == (
        "Discard 1,000 of 1,000 messages of webhooks"
    )


def test_strange_texts_do_not_break_the_table() -> None:
    """A signature with a bar or a tag stays in its cell."""
    odd = plan().signatures[0].model_copy(update={"text": "a | <b>\nc"})
    lines = plan_words.markdown(plan().model_copy(update={"signatures": (odd,)})).splitlines()
    assert "| a \\| &lt;b&gt; c | 800 | - |" in lines
