"""The pytest plugin that breaks one thing before the tests begin: `-p tests.sabotage.plugin --break NUMBER`."""

import importlib

import pytest

from tests.sabotage.breaks import BREAKS, Break


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of the break."""
    parser.addoption("--break", type=int, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Break it."""
    apply(BREAKS[config.getoption("--break")])


def apply(fault: Break) -> None:
    """Put the broken thing in the place of the right one."""
    holder, name = place_of(fault)
    setattr(holder, name, fault.made(getattr(holder, name)))


def place_of(fault: Break) -> tuple[object, str]:
    """Give the module or class that has what is broken, and its name there."""
    module, _, path = fault.place.partition(":")
    holder: object = importlib.import_module(module)
    *classes, name = path.split(".")
    for one in classes:
        holder = getattr(holder, one)
    return holder, name
