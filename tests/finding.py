"""Where a test stands, by its name: tables name tests, and tests may move from file to file."""

import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent


def find_test(name: str) -> str:
    """The pytest node id of "test_name", or of "test_file.py::test_name" where names repeat.

    One case of a parametrised test is named as pytest does: "test_name[case]".

    Raises:
        LookupError: no such test, or several.
    """
    name, bracket, case = name.partition("[")
    file, _, function = name.rpartition("::")
    found = [
        path for path in _tests_by_name().get(function, []) if file in ("", path.rpartition("/")[2])
    ]
    if len(found) != 1:
        raise LookupError(f"{name} is the name of {len(found)} tests: {', '.join(found)}")
    return f"{found[0]}::{function}{bracket}{case}"


@cache
def _tests_by_name() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for function in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE):
            found.setdefault(function, []).append(path.relative_to(TESTS.parent).as_posix())
    return found
