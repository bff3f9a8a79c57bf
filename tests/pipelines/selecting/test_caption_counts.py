"""How often a caption stands in the corpus, as rules read it."""

from collections import Counter
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ledger import OK
from pipelines.selecting.caption_counts import normalise_captions, plan_caption_counts
from tests.pipelines.selecting.select_corpus import (
    SHORT_SIDE,
    Picture,
    reasons,
    select,
    write_corpus,
)
from tokens.manifest import read_table


def count(folder, units):
    """`caption_count` of each row of each unit."""
    done = write_corpus(folder, units)["fetch"]
    pairs = f"{folder}/pairs"
    steps, found = plan_caption_counts(pairs, f"{folder}/decisions", done.files)
    for step in steps:
        for item in step.items:
            step.work(item)
    return [
        found.read(entry.index, read_table(pairs, entry, ("outcome",))["outcome"]).to_pylist()
        for entry in done.files
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [("a  Red Boat ", "a red boat"), ("a\u00a0red\tboat", "a red boat"), ("ﬁne", "FINE")],
)
def test_captions_that_are_one(one, other):
    first, second = normalise_captions(pa.chunked_array([[one, other]])).to_pylist()
    assert first == second


@pytest.mark.parametrize(("one", "other"), [("a boat", "a boat."), ("aboat", "a boat")])
def test_captions_that_are_not(one, other):
    first, second = normalise_captions(pa.chunked_array([[one, other]])).to_pylist()
    assert first != second


def test_counts_rows_that_were_fetched(tmp_path: Path):
    units = [
        [Picture(0, caption="A boat"), Picture(0, caption="a ship")],
        [Picture(0, caption="a  BOAT"), Picture(None, caption="a boat", outcome="timeout")],
    ]
    assert count(tmp_path, units) == [[2, 1], [2, None]]


captions = st.sampled_from(["a", "A", "b", "a b", "c", "C  "])
rows = st.builds(
    lambda c, o: Picture(0, caption=c, outcome=o), captions, st.sampled_from([OK, OK, "timeout"])
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(rows, min_size=1, max_size=6), min_size=1, max_size=3))
def test_agrees_with_a_count_in_memory(units):
    words = [
        [" ".join(p.caption.lower().split()) if p.outcome == OK else None for p in unit]
        for unit in units
    ]
    counts = Counter(word for unit in words for word in unit if word is not None)
    expected = [[counts[word] if word is not None else None for word in unit] for unit in words]
    assert count(f"memory://{uuid4()}", units) == expected


def test_a_rule_reads_the_count_of_the_whole_corpus(tmp_path: Path):
    units = [
        [Picture(0, caption="A boat"), Picture(1, caption="a ship")],
        [Picture(2, caption="a  BOAT"), Picture(None, caption="a boat", outcome="timeout")],
    ]
    rules = [SHORT_SIDE, {"filter": "caption_repetition", "max_rows": 1}]
    decided = select(tmp_path, units, {"rules": rules})
    assert reasons(decided) == ["caption_repetition", "kept", "caption_repetition", "timeout"]
    files = sorted((tmp_path / "decisions").glob("*.parquet"))
    counts = [pq.read_table(file)["caption_count"].to_pylist() for file in files]
    assert counts == [[2, 1], [2, None]]
