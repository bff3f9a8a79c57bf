from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.join import KEY
from pipelines.select_pairs import assign_split
from pipelines.selecting.pair_duplicates import later_rows
from pipelines.selecting.verdicts import apply_rules
from tokens.draw import keyed_uniform, keyed_uniforms


@dataclass(frozen=True, slots=True)
class Above:
    """Drops numbers above a limit."""

    signals: ClassVar[tuple[str, ...]] = ("number",)

    limit: int
    reason: str

    def __call__(self, signals):
        return signals["number"].to_numpy() > self.limit


RULES = (Above(5, "large"), Above(2, "middling"))


def reasons_of(numbers, outcomes):
    signals = pa.table({"number": pa.array(numbers, pa.int64())})
    return apply_rules(signals, pa.array(outcomes, pa.string()), RULES).reasons.to_pylist()


def test_the_first_rule_that_drops_a_row_gives_the_reason():
    assert reasons_of([1, 3, 6], ["ok"] * 3) == ["kept", "middling", "large"]


def test_what_ended_elsewhere_keeps_its_reason():
    outcomes = ["timeout", "duplicate_pair", "ok"]
    assert reasons_of([1, 6, 6], outcomes) == ["timeout", "duplicate_pair", "large"]


def test_no_rules_keep_every_fetched_row():
    signals = pa.table({"number": [1, 2]})
    reasons = apply_rules(signals, pa.array(["ok", "dns_failure"]), ()).reasons
    assert reasons.to_pylist() == ["kept", "dns_failure"]


def test_no_rows_have_no_reasons():
    assert reasons_of([], []) == []


def test_chunks_are_read_in_order():
    signals = pa.concat_tables([pa.table({"number": [1]}), pa.table({"number": [6, 3]})])
    reasons = apply_rules(signals, pa.chunked_array([["ok", "ok"], ["ok"]]), RULES).reasons
    assert reasons.to_pylist() == ["kept", "large", "middling"]


def pixel_hashes(count):
    return pa.array([row.to_bytes(16, "big") for row in range(count)], pa.binary(16))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_about_the_share_is_held_out(share):
    splits = assign_split(pixel_hashes(10_000), share, seed=0).to_pylist()
    held_out = splits.count("val") / 10_000
    assert held_out == pytest.approx(share, abs=4 * (share * (1 - share) / 10_000) ** 0.5)
    assert set(splits) <= {"train", "val"}


def test_equal_keys_fall_on_one_side():
    keys = pa.array([7, 8, 7, 9, 7], pa.uint64())
    for seed in range(50):
        splits = assign_split(keys, 0.5, seed).to_pylist()
        assert splits[0] == splits[2] == splits[4]


def test_a_larger_share_holds_out_the_same_pictures_and_more():
    keys = pixel_hashes(1000)
    few, many = (assign_split(keys, share, seed=0).to_pylist() for share in (0.1, 0.2))
    assert all(after == "val" for before, after in zip(few, many, strict=True) if before == "val")


def test_another_seed_is_another_split():
    keys = pixel_hashes(100)
    assert assign_split(keys, 0.5, seed=0) != assign_split(keys, 0.5, seed=1)


def test_the_split_is_what_it_was():
    keys = pa.array([0, 1, 2, 3, 2**64 - 1, None], pa.uint64())
    splits = assign_split(keys, 0.5, seed=0).to_pylist()
    assert splits == ["val", "train", "val", "val", "val", None]


def make_keys(rows):
    """Join keys of (pair number, unit, row, fetched) rows."""
    keys = np.zeros(len(rows), KEY)
    for index, (pair, unit, row, fetched) in enumerate(rows):
        keys[index] = (pair // 2, pair % 2, unit, row, fetched)
    return keys


@pytest.mark.parametrize(
    ("rows", "later"),
    [
        pytest.param([], [], id="no rows"),
        pytest.param([(1, 0, 0, 1), (2, 0, 1, 1)], [0, 0], id="two pairs"),
        pytest.param([(1, 0, 0, 1), (1, 0, 1, 1)], [0, 1], id="the first row stays"),
        pytest.param([(1, 0, 1, 1), (1, 0, 0, 1)], [1, 0], id="whatever the order of the keys"),
        pytest.param([(1, 0, 9, 1), (1, 1, 0, 1)], [0, 1], id="an earlier unit goes first"),
        pytest.param([(1, 0, 0, 0), (1, 0, 1, 1)], [1, 0], id="a fetched row goes first"),
        pytest.param([(1, 0, 0, 0), (1, 0, 1, 0)], [0, 1], id="none was fetched"),
        pytest.param([(2, 0, 0, 1), (3, 0, 1, 1)], [0, 0], id="keys that share their high half"),
        pytest.param([(1, 0, 0, 1), (3, 0, 1, 1)], [0, 0], id="keys that share their low half"),
    ],
)
def test_later_rows(rows, later):
    assert later_rows(make_keys(rows)).tolist() == [bool(row) for row in later]


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 20), st.integers(0, 1)),
        unique_by=lambda row: row[1:3],
    )
)
def test_later_rows_agree_with_a_search_row_by_row(rows):
    keepers = {
        pair: min((row for row in rows if row[0] == pair), key=lambda row: (not row[3], row[1:3]))
        for pair, *_ in rows
    }
    assert later_rows(make_keys(rows)).tolist() == [row != keepers[row[0]] for row in rows]


def test_keyed_numbers_of_many_keys_are_those_of_each():
    keys = [bytes([n] * 16) for n in range(20)]
    many = keyed_uniforms(keys, "split", 3)
    assert many.tolist() == [keyed_uniform(key, "split", 3) for key in keys]
