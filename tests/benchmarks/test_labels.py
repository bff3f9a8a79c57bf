"""That the labels are the drawn sample's, and that agreement with them is counted as it is told."""

import csv
import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokens.draw import keyed_uniform

LABELS = Path(__file__).parents[2] / "benchmarks" / "labels"
LAST_DRAW = 0.025888068836
"""Of the 8,121 captions' keyed numbers the 200th: the sample's are those up to it."""

ROW_VALUES = {
    "language": {"en", "other", "undetermined"},
    "boilerplate": {"yes", "no"},
    "uninformative": {"yes", "no"},
    "describes": {"yes", "partly", "no", ""},
    "personal_data": {"yes", "no"},
    "profanity": {"yes", "no"},
}
SAME = {"none", "size", "margin", "line", "colour"}
CHANGES = SAME | {"text", "part", "mirror", "other"}


def import_script(name: str) -> ModuleType:
    sys.path.insert(0, str(LABELS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(LABELS))


agreement = import_script("agreement")


def read(name):
    with (LABELS / name).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def bools(text):
    return np.array([letter == "1" for letter in text])


def test_the_labelled_rows_are_the_two_hundred_that_the_draw_gives():
    draws = [keyed_uniform(row["path"].encode(), "labels") for row in read("rows.csv")]
    assert len(draws) == 200
    assert draws == sorted(set(draws))
    assert draws[-1] == pytest.approx(LAST_DRAW, abs=1e-9)


@pytest.mark.parametrize("column", ROW_VALUES)
def test_a_row_has_one_of_the_guides_labels(column):
    assert {row[column] for row in read("rows.csv")} <= ROW_VALUES[column]


def test_rows_of_one_caption_have_the_labels_of_one_caption():
    labels: dict[str, set[tuple[str, ...]]] = {}
    for row in read("rows.csv"):
        of_caption = tuple(row[name] for name in ROW_VALUES if name != "describes")
        labels.setdefault(row["caption"], set()).add(of_caption)
    assert {caption for caption, kinds in labels.items() if len(kinds) > 1} == set()


def test_each_stratum_has_as_many_pairs_as_were_drawn_of_it():
    strata = json.loads((LABELS / "strata.json").read_text())
    drawn = Counter(int(pair["stratum"]) for pair in read("pairs.csv"))
    assert drawn == {stratum["stratum"]: stratum["drawn"] for stratum in strata}
    assert sum(drawn.values()) == 300


def test_no_pair_is_drawn_twice_or_of_one_picture():
    pairs = [(pair["first"], pair["second"]) for pair in read("pairs.csv")]
    assert len(set(pairs)) == len(pairs)
    assert all(first < second for first, second in pairs)


def test_near_duplicates_differ_by_what_the_guide_lets_them_differ_by():
    for pair in read("pairs.csv"):
        assert pair["near_duplicate"] in {"yes", "no"}
        assert pair["change"] in (SAME if pair["near_duplicate"] == "yes" else CHANGES - {"none"})


def test_wilsons_interval_is_the_textbooks():
    share = agreement.wilson(8, 10)  # Wilson 1927; Brown, Cai and DasGupta 2001
    assert (share.value, share.low, share.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)


def test_wilsons_interval_stays_within_a_share():
    assert agreement.wilson(0, 10).low == 0
    assert agreement.wilson(10, 10).high == pytest.approx(1)
    assert str(agreement.wilson(0, 0)) == "none"


def test_rows_are_counted():
    found = agreement.compare_rows(bools("1110"), bools("0111"))
    assert (found.flagged, found.labelled, found.both) == (3, 3, 2)
    assert found.precision.value == found.recall.value == pytest.approx(2 / 3)


def test_a_pair_stands_for_its_strata_share():
    # One of two drawn of ten is a duplicate that was missed, one drawn of one was found.
    found = agreement.compare_pairs(bools("100"), bools("110"), np.array([0, 1, 1]), {0: 1, 1: 10})
    assert found.recall.value == pytest.approx(1 / (1 + 5))
    assert found.precision.value == 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(1, 1_000_000))
def test_weights_add_up_to_what_the_strata_hold(strata, size):
    sizes = {stratum: size + stratum for stratum in set(strata)}
    weights = agreement.weigh(np.array(strata), sizes)
    assert weights.sum() == pytest.approx(sum(sizes.values()))


@settings(max_examples=10)
@given(st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1))
def test_one_stratum_weighs_nothing(flags, labels):
    flagged, labelled = bools(f"{flags:024b}"), bools(f"{labels:024b}")
    plain = agreement.compare_rows(flagged, labelled)
    weighted = agreement.compare_pairs(flagged, labelled, np.zeros(24, int), {0: 24_000})
    assert weighted.precision.value == pytest.approx(plain.precision.value, nan_ok=True)
    assert weighted.recall.value == pytest.approx(plain.recall.value, nan_ok=True)


def test_an_interval_is_round_its_share_and_the_same_every_time():
    strata = np.repeat([0, 1], 50)
    flagged, labelled = np.arange(100) % 3 == 0, np.arange(100) % 4 == 0
    found = agreement.compare_pairs(flagged, labelled, strata, {0: 100, 1: 900})
    assert found.recall.low < found.recall.value < found.recall.high
    assert found == agreement.compare_pairs(flagged, labelled, strata, {0: 100, 1: 900})
