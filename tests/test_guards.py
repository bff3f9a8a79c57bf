"""Each guard is held by a test that fails without it; `python -m tests.guards` tries them all."""

from dataclasses import replace

import pytest

from tests import guards
from tests.finding import find_test
from tests.guard_plugin import resolve
from tests.guard_table import GUARDS

BY_NAME = {guard.name: guard for guard in GUARDS}


def test_no_name_stands_twice() -> None:
    assert len(BY_NAME) == len(GUARDS)


@pytest.mark.parametrize("name", BY_NAME)
def test_names_a_guard_and_tests_that_exist(name: str) -> None:
    holder, attribute = resolve(BY_NAME[name].target)

    assert hasattr(holder, attribute)
    assert [find_test(test) for test in BY_NAME[name].tests]


def test_two_guards_cannot_go_unnoticed(capsys: pytest.CaptureFixture[str]) -> None:
    assert guards.main(["books", "table cell"]) == 0

    assert "2 of 2 guards are held" in capsys.readouterr().out


def test_tells_of_a_guard_that_no_test_holds() -> None:
    other = replace(BY_NAME["books"], tests=("test_takes_a_cell_of_the_largest_size",))

    finding = guards.try_without(other)

    assert finding.unnoticed == (find_test("test_takes_a_cell_of_the_largest_size"),)
    assert not finding.is_held


def test_refuses_a_guard_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guards.main(["no such guard"])

    assert ended.value.code == 2
    assert "no such guard" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_guard_can_go_unnoticed() -> None:
    assert guards.main([]) == 0
