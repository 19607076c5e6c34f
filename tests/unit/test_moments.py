"""Times of failure, read many at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dlq.messages.detection import as_moment
from dlq.messages.moments import moments

TIMES = st.one_of(
    st.datetimes().map(lambda when: f"{when:%Y-%m-%dT%H:%M:%S}Z"),
    st.datetimes(timezones=st.timezones()).map(lambda when: when.isoformat(timespec="milliseconds")),
    st.datetimes().map(lambda when: when.isoformat(" ", timespec="microseconds")),
    st.sampled_from(
        [
            *("2026-02-30T00:00:00Z", "2026-02-28T24:00:00Z", "2026-02-28T23:59:60Z", "2026-0x-28T23:59:00Z"),
            *("+026-02-28T23:59:00Z", "2026-02-28T23:59:00z", "2026-02-28T23:59:00\u0660", "1969-12-31T23:59:59Z"),
            *("9999-12-31T23:59:59Z", "", "1790000000", " 026-02-28T23:59:00Z", "NaT                 "),
            *("2026-02-28T23-59-00Z", "2026_02_28T23:59:00Z"),
        ]
    ),
)
ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([]), st.just({}))


def slowly(values: list[object]) -> list[float]:
    """Read one at a time."""
    return [np.nan if (when := as_moment(value)) is None else when for value in values]  # type: ignore[arg-type]


@given(st.lists(TIMES, max_size=8) | st.lists(TIMES | ODD, max_size=8))
def test_many_at_once_are_what_each_is_alone(values: list[object]) -> None:
    """Of one form or of many, times or not."""
    np.testing.assert_array_equal(moments(values), slowly(values))


@given(
    st.lists(st.datetimes(), min_size=1), st.sampled_from(["", "Z", "+00:00", "-11:30"]), st.sampled_from(["T", " "])
)
def test_times_of_one_form_are_exact(times: list[object], zone: str, between: str) -> None:
    """To the microsecond, in each zone."""
    values: list[object] = [f"{when:%Y-%m-%d}{between}{when:%H:%M:%S.%f}{zone}" for when in times]
    np.testing.assert_array_equal(moments(values), slowly(values))
