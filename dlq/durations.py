"""Durations and points in time as people write them."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from dlq.errors import BadArgumentError

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,6})?)"
_DURATION = re.compile("".join(rf"(?:{_NUMBER}{unit}\s*)?" for unit in _UNITS), re.IGNORECASE)
_HINT = "Write a duration like 30m, 2h or 1d12h"


def parse_duration(text: str) -> timedelta:
    """Read `30m`, `2h`, `1d12h`, `1.5h`, `1w`; the units in falling order, each at most once."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise BadArgumentError(f"{text!r} is not a duration. {_HINT}.")
    seconds = sum(float(count) * size for count, size in zip(found.groups(), _UNITS.values(), strict=True) if count)
    try:
        return timedelta(seconds=seconds)
    except OverflowError as exc:
        raise BadArgumentError(f"The duration {text!r} is too long.") from exc


def parse_instant(text: str, zone: tzinfo = UTC) -> datetime:
    """Read an ISO 8601 timestamp; one without an offset is in `zone`. Gives an aware datetime."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise BadArgumentError(f"{text!r} is not an ISO 8601 timestamp such as 2026-01-31T14:00:00Z.") from exc
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def parse_age(text: str, now: datetime, zone: tzinfo = UTC) -> timedelta:
    """Read an age: a duration, or a timestamp in the past that is turned into its age at `now`."""
    try:
        return parse_duration(text)
    except BadArgumentError:
        try:
            instant = parse_instant(text, zone)
        except BadArgumentError as exc:
            raise BadArgumentError(
                f"{text!r} is not an age. {_HINT}, or a timestamp like 2026-01-31T14:00:00Z."
            ) from exc
    if instant > now:
        raise BadArgumentError(f"{text!r} lies in the future; an age needs a moment that has passed.")
    return now - instant


def format_duration(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, to the second: `1d12h`, `0s`."""
    left = max(0, round(duration.total_seconds()))
    parts = []
    for unit, size in list(_UNITS.items())[1:]:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
