"""How often a run is followed up."""

from datetime import timedelta

import pytest

from dlq.config.policy_table import Policy
from tasks.following import most_follow_ups

DAY = timedelta(days=1)


def test_it_is_each_day_for_a_week_by_default() -> None:
    """Seven follow-ups, one a day."""
    policy = Policy()
    assert policy.follow_up_every == DAY
    assert most_follow_ups(policy.follow_up_every, policy.follow_up_for) == 7


@pytest.mark.parametrize(
    ("every", "lasts", "most"), [(DAY, timedelta(0), 0), (timedelta(0), DAY, 0), (DAY, 1.5 * DAY, 1)]
)
def test_as_many_as_fit(every: timedelta, lasts: timedelta, most: int) -> None:
    """None where the policy wants none."""
    assert most_follow_ups(every, lasts) == most
