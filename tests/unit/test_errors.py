"""The named errors."""

import pickle

import pytest

from dlq import errors
from dlq.errors import BadArgumentError, DlqError, LockedError, UnknownQueueError, WrongKeyTypeError

NAMED = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, DlqError)]


@pytest.mark.parametrize("error", NAMED, ids=lambda error: error.__name__)
def test_every_error_says_what_failed_and_has_an_exit_status(error: type[DlqError]) -> None:
    """The docstring is the default message; `dlq` ends with the status."""
    assert str(error()).startswith((error.__doc__ or "?").split("\n")[0])
    assert error.exit_status in {1, 2, 3, 4}


def test_the_message_has_the_facts_and_the_next_step() -> None:
    """In that order; facts that are not known are left out."""
    error = LockedError(queue="webhooks", run="run-1", who="jo", since="10:00", expires_in=None)
    assert str(error) == (
        "Another run holds the lock of the queue (queue webhooks, run run-1, who jo, since 10:00). "
        "Wait until it ends or, if its process is dead, until the lock expires."
    )
    assert error.facts["run"] == "run-1"
    assert error.exit_status == 3


def test_a_detail_takes_the_place_of_the_default() -> None:
    """With facts or without."""
    assert str(BadArgumentError("--limit is too small.")) == "--limit is too small."
    assert str(DlqError("It failed", key="k")) == "It failed (key k)"


def test_lists_read_like_lists() -> None:
    """And an empty one like none."""
    assert "known a, b" in str(UnknownQueueError(queue="x", known=["a", "b"]))
    assert "known none" in str(UnknownQueueError(queue="x", known=[]))


def test_passwords_never_show() -> None:
    """Neither in the detail nor in the facts, nor in what a traceback prints."""
    error = DlqError("Cannot reach redis://jo:hunter2@host/0", url="rediss://:hunter2@host", other="x?password=hunter2")
    assert "hunter2" not in str(error) + repr(error) + repr(error.facts)
    assert "redis://jo:***@host/0" in str(error)


def test_an_error_survives_the_way_to_another_process() -> None:
    """With its type, its facts, and its message said once."""
    error = WrongKeyTypeError(queue="jobs", key="k", found="string")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - of our own making
    assert type(copy) is WrongKeyTypeError
    assert (str(copy), copy.facts) == (str(error), error.facts)


def test_what_failed_and_what_to_do_are_two_sentences() -> None:
    """Also when the first is in another program's words, or ends with facts."""
    assert "(run r). Look" in str(errors.ApprovalError("Nothing is asked", run="r"))
    assert "out of range. Nothing" in str(errors.BrokerError("DB index is out of range"))


def test_a_broker_that_is_silent_may_be_named_by_either_setting() -> None:
    """RabbitMQ's address does not stand in DLQ_REDIS_URL."""
    assert "DLQ_BROKER_URL" in str(errors.BrokerUnreachableError("RabbitMQ does not answer"))
