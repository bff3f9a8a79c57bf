"""The books balance, or the build says so."""

import pyarrow as pa
import pytest

from filters import FILTERS
from pipelines.ledger import (
    FETCH_OUTCOMES,
    REASONS,
    TRANSIENT,
    add_counts,
    check_books,
    count_outcomes,
)
from tokens.manifest import FileEntry


def test_books_balance_when_every_row_has_one_known_outcome() -> None:
    check_books(3, {"ok": 2, "timeout": 1}, FETCH_OUTCOMES, "unit")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        pytest.param({"ok": 2}, "do not balance: 3 rows in, 2 rows out", id="a lost row"),
        pytest.param({"ok": 4}, "do not balance: 3 rows in, 4 rows out", id="a doubled row"),
        pytest.param({"ok": 2, "oops": 1}, "in no list: oops", id="an unknown outcome"),
    ],
)
def test_books_that_do_not_balance_fail(counts: dict[str, int], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        check_books(3, counts, FETCH_OUTCOMES, "unit")


def test_no_outcome_stands_twice_in_the_list() -> None:
    assert len(set(REASONS)) == len(REASONS)
    assert {rule.reason for rule in FILTERS} <= set(REASONS)


def test_transient_outcomes_are_outcomes() -> None:
    assert set(FETCH_OUTCOMES) > TRANSIENT


def test_counts_are_those_of_the_rows() -> None:
    assert count_outcomes(pa.array(["ok", "timeout", "ok"])) == {"ok": 2, "timeout": 1}


def test_counts_of_files_add_up() -> None:
    files = [
        FileEntry(n, "", 0, 2, 1, "", c) for n, c in (("a", {"x": 2}), ("b", {"x": 1, "y": 1}))
    ]
    assert add_counts(files) == {"x": 3, "y": 1}
