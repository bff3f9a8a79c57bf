"""Semantic duplicates on made-up embeddings, through the whole select stage."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals.clip import EMBEDDING_TYPE
from pipelines.selecting import duplicate_sections
from pipelines.selecting.duplicate_sections import SemanticDuplicates, require_faiss
from pipelines.selecting.semantic_duplicates import find_close, train_centres
from pipelines.selecting.vectors import as_vectors, normalise
from tests.pipelines.selecting.select_corpus import (
    Picture,
    plan,
    read_decisions,
    reasons,
    run,
    write_corpus,
)

WIDTH = 16


def make_groups(groups: int, rows: int, noise: float = 0.02) -> np.ndarray:
    """Rows of a group have cosines above 0.98; rows of two groups below 0.95 (seed 0)."""
    draws = np.random.default_rng(0)
    middles = normalise(draws.standard_normal((groups, WIDTH)))
    return normalise(
        np.repeat(middles, rows, 0) + noise * draws.standard_normal((groups * rows, WIDTH))
    )


def as_lists(vectors: np.ndarray) -> pa.Array:
    return pa.array([row.tolist() for row in vectors.astype(np.float16)], EMBEDDING_TYPE)


CLIP = {"clip": {"weights": "none.safetensors", "store_embeddings": "fp16"}}


def build(folder: Path, units, lists: pa.Array, **settings):
    """Decisions over units whose rows have these embeddings, in order."""
    starts = np.cumsum([0, *map(len, units)]).tolist()
    columns = {"clip_image_embedding": lambda n: lists[starts[n] : starts[n + 1]]}
    done = write_corpus(folder, units, columns)
    run(plan(folder, done, {"semantic_duplicates": settings}, CLIP))
    return read_decisions(folder)


@pytest.mark.parametrize("rows_per_centre", [1_000, 6])
def test_one_of_each_group_is_kept(tmp_path: Path, rows_per_centre: int):
    vectors = make_groups(6, 4)
    units = [[Picture(row, side_px=300 + row % 2) for row in range(12)]] * 2
    decided = build(tmp_path, units, as_lists(vectors), rows_per_centre=rows_per_centre)
    expected = ["semantic_duplicate", "kept", "semantic_duplicate", "semantic_duplicate"] * 6
    assert reasons(decided) == expected


def test_what_a_rule_drops_is_no_keeper(tmp_path: Path):
    vectors = make_groups(1, 3)
    units = [[Picture(0, 100), Picture(1), Picture(2)]]
    decided = build(tmp_path, units, as_lists(vectors))
    assert reasons(decided) == ["short_side", "kept", "semantic_duplicate"]


def test_a_row_without_an_embedding_stays(tmp_path: Path):
    units = [[Picture(0), Picture(1), Picture(2)]]
    first, _, last = as_lists(make_groups(1, 3)).to_pylist()
    decided = build(tmp_path, units, pa.array([first, None, last], EMBEDDING_TYPE))
    assert reasons(decided) == ["kept", "kept", "semantic_duplicate"]


def test_no_row_takes_part(tmp_path: Path):
    units = [[Picture(None, outcome="timeout")]]
    decided = build(tmp_path, units, pa.array([None], EMBEDDING_TYPE))
    assert reasons(decided) == ["timeout"]


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 4), st.floats(0, 1, width=32))
def test_close_rows_are_those_that_a_search_row_by_row_finds(rows, width, least):
    draws = np.random.default_rng(rows)
    vectors = np.eye(width, dtype=np.float32)[draws.integers(width, size=rows)]
    vectors[::3] = normalise(vectors[::3] + 1)
    expected = [
        any(vectors[row] @ vectors[earlier] >= np.float32(least) for earlier in range(row))
        for row in range(rows)
    ]
    # Sums of one to four terms may round in two ways: leave a hair's breadth out.
    cosines = vectors @ vectors.T
    if not np.any(abs(cosines - least) < 1e-6):
        assert find_close(vectors, least).tolist() == expected


def test_rows_are_compared_across_tiles():
    vectors = normalise(np.random.default_rng(0).standard_normal((9_000, 64)))
    vectors[8_500] = vectors[3]
    assert np.flatnonzero(find_close(vectors, 0.99)).tolist() == [8_500]


def test_centres_are_the_same_whatever_the_threads():
    import faiss

    vectors = make_groups(30, 40, noise=0.2)
    threads = faiss.omp_get_max_threads()
    found = []
    for number in (1, 2):
        faiss.omp_set_num_threads(number)
        found.append(train_centres(vectors, 20, SemanticDuplicates()))
        assert faiss.omp_get_max_threads() == number
    faiss.omp_set_num_threads(threads)
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], train_centres(vectors, 20, SemanticDuplicates(seed=1)))


def test_embeddings_come_from_lists_of_halves():
    column = pa.chunked_array(
        [pa.array([[3, 4], None], EMBEDDING_TYPE), pa.array([[0, 2]], EMBEDDING_TYPE)]
    )
    assert as_vectors(column) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, 1]]))
    assert len(as_vectors(pa.chunked_array([], EMBEDDING_TYPE))) == 0


def test_without_faiss_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(duplicate_sections, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install pairmill\[semantic\]"):
        require_faiss()
