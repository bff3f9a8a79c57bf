"""No filter without its test, its tables and its row in the README."""

import importlib.util
from dataclasses import fields, is_dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from filters import FILTERS
from filters.signals import RULE_SIGNAL_TYPES, SIGNALS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def load_test(reason):
    path = HERE / f"test_{reason}.py"
    assert path.is_file(), f"filter {reason} has no {path.name}"
    spec = importlib.util.spec_from_file_location(f"tables_of_{reason}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


each_filter = pytest.mark.parametrize("kind", FILTERS, ids=[kind.reason for kind in FILTERS])


@each_filter
def test_filter_stands_in_the_file_of_its_reason(kind):
    assert kind.__module__ == f"filters.{kind.reason}"


@each_filter
def test_filter_has_tables_of_what_it_keeps_and_drops(kind):
    tables = load_test(kind.reason)
    for table, claim in ((tables.KEEPS, tables.test_keeps), (tables.DROPS, tables.test_drops)):
        assert len(table) >= 2 and all(row.id for row in table)
        assert any(mark.args[1] is table for mark in claim.pytestmark)


@each_filter
def test_filter_has_a_row_in_the_readme(kind):
    rows = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if "|" in line]
    assert any(row.startswith(f"| `{kind.reason}` |") for row in rows)


@each_filter
def test_filter_is_frozen_and_its_defaults_are_valid(kind):
    rule = kind()
    assert is_dataclass(kind) and fields(kind)
    with pytest.raises(AttributeError):
        setattr(rule, fields(kind)[0].name, 0)


@each_filter
def test_filter_reads_signals_that_exist(kind):
    assert set(kind.signals) <= set(RULE_SIGNAL_TYPES)


@each_filter
def test_filter_answers_for_no_rows(kind):
    no_rows = pa.record_batch(
        {name: pa.array([], RULE_SIGNAL_TYPES[name]) for name in kind.signals}
    )
    dropped = kind()(no_rows)
    assert dropped.dtype == bool and dropped.shape == (0,)


@each_filter
def test_filter_drops_what_was_not_measured(kind):
    unmeasured = {name: pa.nulls(2, RULE_SIGNAL_TYPES[name]) for name in kind.signals}
    assert kind()(pa.record_batch(unmeasured)).tolist() == [True, True]


def test_reasons_and_columns_are_named_once():
    reasons = [kind.reason for kind in FILTERS]
    columns = [name for signal in SIGNALS for name, _ in signal.columns]
    assert len(set(reasons)) == len(reasons)
    assert len(set(columns)) == len(columns)
