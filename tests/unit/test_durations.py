"""Durations and moments as people write them."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlq.durations import format_duration, parse_age, parse_duration, parse_instant
from dlq.errors import BadArgumentError

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("1d12h", timedelta(hours=36)),
        ("1d 12h", timedelta(hours=36)),
        ("1.5h", timedelta(minutes=90)),
        ("1W", timedelta(weeks=1)),
        (" 90s ", timedelta(seconds=90)),
        ("0s", timedelta(0)),
    ],
)
def test_durations_are_read(text: str, duration: timedelta) -> None:
    """Units fall from weeks to seconds."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "h", "-5m", "1h2d", "5 minutes", "1h1h", "٣h", "999999999w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(BadArgumentError, match="duration"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_duration_is_read_as_it_is_written(seconds: int) -> None:
    """To the second."""
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_a_moment_without_an_offset_is_in_the_given_zone() -> None:
    """UTC where no zone is given."""
    assert parse_instant("2026-01-31T12:00") == NOW
    assert parse_instant("2026-01-31T13:00", ZoneInfo("Europe/Berlin")) == NOW
    assert parse_instant("2026-01-31T13:00+01:00").utcoffset() == timedelta(hours=1)


def test_an_age_is_a_duration_or_a_moment_that_has_passed() -> None:
    """Moments turn into their age."""
    assert parse_age("2h", NOW) == timedelta(hours=2)
    assert parse_age("2026-01-31T10:00Z", NOW) == timedelta(hours=2)
    assert parse_age("2026-01-31T11:00", NOW, timezone(timedelta(hours=1))) == timedelta(hours=2)


@pytest.mark.parametrize(("text", "reason"), [("2026-02-01", "future"), ("soon", "not an age")])
def test_what_is_no_age_is_refused(text: str, reason: str) -> None:
    """The message says why."""
    with pytest.raises(BadArgumentError, match=reason):
        parse_age(text, NOW)
