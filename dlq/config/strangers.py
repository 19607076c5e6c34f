"""Variables of the environment that are nearly a setting: misspelt ones would be passed over in silence."""

import difflib
import logging
from collections.abc import Iterable

_PREFIX = "DLQ_"
_NEAR = 0.8  # of the letters; others may be an application's own, which may begin with DLQ_ too
_told: set[str] = set()


def strangers(environment: Iterable[str], settings: Iterable[str]) -> dict[str, str]:
    """Find variables that are no setting, each with the setting that it looks like."""
    known = {f"{_PREFIX}{name.upper()}" for name in settings}
    found = {}
    for name in environment:
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            for near in difflib.get_close_matches(name.upper(), known, 1, _NEAR):
                found[name] = near
    return found


def tell_of_strangers(environment: Iterable[str], settings: Iterable[str]) -> None:
    """Warn of each such variable, once in a process; its value is not shown."""
    for name, near in strangers(environment, settings).items():
        if name not in _told:
            _told.add(name)
            logging.getLogger(__name__).warning("%s is not a setting and does nothing; did you mean %s?", name, near)
