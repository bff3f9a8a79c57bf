"""What the sliders count is what the rules themselves would do, at every position."""

import functools
import tomllib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from filters import FILTERS
from filters.bounds import Between, check_fields
from filters.signals import RULE_SIGNAL_TYPES
from pipelines.report.positions import (
    MAX_POSITIONS,
    SIGNIFICANT_DIGITS,
    place_positions,
    round_between,
)
from pipelines.report.sample import SAMPLE_ROWS, Sample
from pipelines.report.threshold_section import MAX_DATA_BYTES, make_data
from pipelines.report.whatif import (
    BEGINS_DROPPED,
    POSITION_BITS,
    bounded_numbers,
    make_rule_sliders,
    make_what_if,
    show_toml,
)

ROWS = 400


def draw_column(kind, draws, rows):
    """Values of the sort that a signal of the type has, every tenth of them null."""
    if pa.types.is_boolean(kind):
        values = draws.random(rows) < 0.5
    elif pa.types.is_string(kind):
        values = draws.choice(["en", "de", "fr"], rows)
    elif pa.types.is_integer(kind):
        values = np.exp(draws.uniform(0, 5, rows)).astype(np.int64)
    else:
        values = draws.choice([0.0, 0.25, 0.5, 1.0, *draws.random(40), 3.5], rows)
    column = pa.array(values, mask=draws.random(rows) < 0.1)
    return column.cast(kind)


def draw_sample(rows=ROWS, seed=0):
    draws = np.random.default_rng(seed)
    kinds = {n: k for n, k in RULE_SIGNAL_TYPES.items() if not pa.types.is_nested(k)}
    columns = [draw_column(kind, draws, rows) for kind in kinds.values()]
    signals = pa.record_batch(columns, names=list(kinds))
    return Sample(signals, np.array(["kept"] * rows, object), rows)


SAMPLE = draw_sample()


@functools.cache
def ask(rule):
    """The rule's sliders on the sample, made once."""
    return make_rule_sliders(SAMPLE, rule)


def dropped_at(rule_sliders, at):
    """What the page's script makes of the bytes, with slider number i at position at[i]."""
    flips = [np.frombuffer(slider.flips, np.uint8) for slider in rule_sliders.sliders]
    if not flips:
        return np.frombuffer(rule_sliders.flips, np.uint8) >= BEGINS_DROPPED
    told = [
        (flip >= BEGINS_DROPPED) != (position >= (flip & POSITION_BITS))
        for flip, position in zip(flips, at, strict=True)
    ]
    return np.any(told, axis=0)


@pytest.mark.parametrize("kind", FILTERS, ids=lambda kind: kind.reason)
def test_every_number_of_every_rule_can_be_moved(kind):
    rule = kind()
    made = ask(rule)
    assert not made.held or (not bounded_numbers(rule) and made.held == "it has no number")
    assert [slider.field for slider in made.sliders] == list(bounded_numbers(rule))


@pytest.mark.parametrize("kind", FILTERS, ids=lambda kind: kind.reason)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_at_any_positions_the_same_rows_are_dropped_as_by_the_rule(kind, data):
    rule = kind()
    made = ask(rule)
    at = [data.draw(st.integers(0, len(s.positions) - 1)) for s in made.sliders]
    values = {s.field: s.positions[i] for s, i in zip(made.sliders, at, strict=True)}
    try:
        moved = replace(rule, **values)
    except ValueError:
        assume(False)  # a recipe would be refused as well: a least above its most
    assert np.array_equal(dropped_at(made, at), moved(SAMPLE.signals))


@pytest.mark.parametrize("kind", FILTERS, ids=lambda kind: kind.reason)
def test_sliders_begin_at_the_recipe_and_stay_within_the_rule(kind):
    rule = kind()
    for slider in ask(rule).sliders:
        assert slider.positions[slider.start] == getattr(rule, slider.field)
        assert (slider.positions[0], slider.positions[-1]) == bounded_numbers(rule)[slider.field]
        assert list(slider.positions) == sorted(set(slider.positions))
        assert len(slider.positions) == len(slider.drops) <= MAX_POSITIONS
        for value in slider.positions:
            check_fields(replace(rule, **{slider.field: value}))


@dataclass(frozen=True, slots=True)
class Both:
    """A rule that no single number decides."""

    reason: ClassVar[str] = "both"
    signals: ClassVar[tuple[str, ...]] = ("caption_chars", "caption_words")
    min_chars: Annotated[int, Between(0, 1_000)] = 20
    min_words: Annotated[int, Between(0, 1_000)] = 20

    def __call__(self, signals):
        chars = signals["caption_chars"].fill_null(0).to_numpy()
        words = signals["caption_words"].fill_null(0).to_numpy()
        return (chars < self.min_chars) & (words < self.min_words)


@dataclass(frozen=True, slots=True)
class Near:
    """A rule that a number does not cut in two."""

    reason: ClassVar[str] = "near"
    signals: ClassVar[tuple[str, ...]] = ("caption_chars",)
    chars: Annotated[int, Between(0, 1_000)] = 20

    def __call__(self, signals):
        return np.abs(signals["caption_chars"].fill_null(0).to_numpy() - self.chars) < 10


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        pytest.param(Both(), "its numbers do not decide one by one", id="and"),
        pytest.param(Near(), "chars is no threshold: a row changes sides twice", id="twice"),
    ],
)
def test_a_rule_that_is_no_set_of_thresholds_keeps_its_decisions_and_says_why(rule, why):
    made = make_rule_sliders(SAMPLE, rule)
    assert (made.sliders, made.held) == ((), why)
    assert np.array_equal(dropped_at(made, []), rule(SAMPLE.signals))


def test_a_rule_whose_signal_is_not_stored_keeps_the_rows_that_it_has_dropped():
    rule = Near()
    reasons = np.array(["near", "kept", "timeout"], object)
    sample = Sample(pa.record_batch([pa.array([1, 2, 3])], ["width"]), reasons, 3)
    made = make_rule_sliders(sample, rule)
    assert made.held == "caption_chars is not stored"
    assert dropped_at(made, []).tolist() == [True, False, False]


def test_rows_that_ended_elsewhere_are_told_apart():
    reasons = np.array(["kept", "near_duplicate", "near", "near_duplicate", "eval_overlap"], object)
    sample = Sample(pa.record_batch([pa.array([1] * 5)], ["caption_chars"]), reasons, 50)
    made = make_what_if(sample, [Near()], "kept")
    assert made.ended == ("eval_overlap", "near_duplicate")
    assert list(made.ends) == [0, 2, 0, 2, 1]
    assert (made.rows, made.fetched, made.kept) == (5, 50, 1)


def test_the_data_of_all_rules_together_are_small():
    sample = draw_sample(SAMPLE_ROWS)
    made = make_what_if(sample, [kind() for kind in FILTERS], "kept")
    assert 30_000 < len(make_data(made)) <= MAX_DATA_BYTES


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_whole_number_between_two_is_found_wherever_there_is_one(low, span):
    found = round_between(low, low + span)
    assert (found is None) == (span == 1)
    assert found is None or (isinstance(found, int) and low < found < low + span)


@given(st.floats(0, 1e4), st.floats(1e-2, 1e4))
def test_a_number_between_two_has_few_digits(low, span):
    found = round_between(low, low + span)
    if found is not None:
        assert low < found < low + span
        assert float(f"{found:.{SIGNIFICANT_DIGITS}g}") == found


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=60), st.integers(0, 1_000))
def test_positions_tell_apart_all_rows_where_there_is_room(values, start):
    rows = np.array(values)
    placed = place_positions(0, start, 1_000, lambda at: rows < at)
    assert list(placed) == sorted(placed) and {0, start, 1_000} <= set(placed)
    for low, high in pairwise(placed):
        assert len({v for v in values if low <= v < high}) <= 1 or len(placed) == MAX_POSITIONS


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(3, "3", id="whole"),
        pytest.param(1.0, "1.0", id="float"),
        pytest.param(1e-05, "1e-05", id="small"),
        pytest.param(True, "true", id="bool"),
        pytest.param('say "no" \\', '"say \\"no\\" \\\\"', id="text"),
        pytest.param(("a", "b"), '["a", "b"]', id="list"),
        pytest.param({"least": 1, "name": "x"}, '{ least = 1, name = "x" }', id="table"),
    ],
)
def test_settings_are_shown_as_a_recipe_says_them(value, shown):
    assert show_toml(value) == shown
    read = tomllib.loads(f"value = {shown}")["value"]
    assert read == (list(value) if isinstance(value, tuple) else value)
