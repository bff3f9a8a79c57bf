"""A pytest plugin that takes one guard out of the test process: `-p tests.guard_plugin`.

The patch lives as long as the process; nothing that is shipped can do the same.
"""

import importlib
from typing import Any

import pytest

from tests.guard_table import GUARDS

FAILED = "fails without its guard: "


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without_guard", help="name of the guard to take out")


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--without_guard")
    guard = next(guard for guard in GUARDS if guard.name == name)
    holder, attribute = resolve(guard.target)
    setattr(holder, attribute, guard.without(getattr(holder, attribute)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Only an assertion or error in the test itself counts, not one in its fixtures."""
    if report.failed and report.when == "call":
        print(f"\n{FAILED}{report.nodeid}")


def resolve(target: str) -> tuple[Any, str]:
    """The object and the name in it that "package.module:Class.attribute" means."""
    module, _, path = target.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, attribute = path.split(".")
    for name in outer:
        holder = getattr(holder, name)
    return holder, attribute
