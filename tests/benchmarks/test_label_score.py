"""That a build's answers are held against the labels of the same rows and pairs."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from filters.signals import SIGNALS
from pipelines.recipe import load_recipe
from pipelines.score import score_pairs

LABELS = Path(__file__).parents[2] / "benchmarks" / "labels"


def import_script(name: str) -> ModuleType:
    sys.path.insert(0, str(LABELS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(LABELS))


score = import_script("score")
answers = import_script("corpus")


@pytest.fixture(scope="module")
def corpus():
    """The labelled rows in reverse, scored as the score stage scores rows without a picture."""
    labels = answers.read_labels("rows.csv")[::-1]
    captions = [row["caption"] for row in labels]
    pairs = pa.table({"pair_id": pa.array([bytes(16)] * 200, pa.binary(16)), "caption": captions})
    signals = [signal for signal in SIGNALS if signal.needs == "caption"]
    names = {name: kind for signal in signals for name, kind in signal.columns}
    rows = score_pairs(pairs, names, signals)
    rows = rows.append_column("caption_count", pa.array([1] * 200, pa.uint32()))
    reasons = ["kept" if row["describes"] == "yes" else "language" for row in labels]
    rows = rows.append_column("reason", pa.array(reasons))
    places = {row["path"]: place for place, row in enumerate(labels)}
    return answers.Corpus(rows, load_recipe("dalle"), {}, places)


def test_a_rules_answers_are_those_of_the_labelled_rows(corpus):
    labels = answers.read_labels("rows.csv")
    too_short = [len(r["caption"].strip()) < 6 or len(r["caption"].split()) < 3 for r in labels]
    empty = [row["uninformative"] == "yes" for row in labels]
    found = dict(score.judge_rules(corpus))["caption_length ~ uninformative"]
    assert (found.flagged, found.labelled) == (sum(too_short), sum(empty))
    assert found.both == sum(one and other for one, other in zip(too_short, empty, strict=True))


def test_all_rules_together_drop_what_any_of_them_drops(corpus):
    found = dict(score.judge_rules(corpus))
    together = found.pop("all of them ~ anything")
    most = max(one.flagged for one in found.values())
    assert most <= together.flagged <= sum(one.flagged for one in found.values())


def test_a_policy_is_asked_about_every_language(corpus):
    for _, (english, other, undetermined, everything) in score.judge_policies(corpus):
        dropped = [int(cell.split(" of ")[0]) for cell in (english, other, undetermined)]
        assert everything == f"{sum(dropped)} of 200"


def test_kept_captions_are_those_with_that_reason(corpus):
    kept, dropped = (cells for _, cells in score.judge_kept(corpus))
    assert kept[0] == kept[1]
    assert dropped[1] == "0"


def test_bits_are_those_between_the_named_pictures():
    hashes = pa.table({"phash": pa.array([0, 0b111, 2**64 - 1, None], pa.uint64())})
    places = {"none.png": 0, "three.png": 1, "all.png": 2, "huge.png": 3}
    corpus = answers.Corpus(hashes, load_recipe("dalle"), {}, places)
    bits = score.count_bits(
        corpus, ["none.png", "all.png", "huge.png"], ["three.png", "none.png", "all.png"]
    )
    assert bits.tolist() == [3, 64, 65]


def test_captions_are_counted_where_they_were_fetched():
    rows = pa.table(
        {"caption": ["A  Boat", "a boat", "a boat", "cat"], "outcome": ["ok", "ok", "dns", "ok"]}
    )
    assert answers.count_captions(rows).to_pylist() == [2, 2, 2, 1]
