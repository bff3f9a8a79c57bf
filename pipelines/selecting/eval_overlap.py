"""Pairs that show a picture of an evaluation set: each unit is compared with every picture.

    set ──decode, hash──> chunk ─┐
    unit ──hashes, embeddings────┴──> overlapping rows and nearest pairs ──> lists, figures

Hamming distances by brute force over the small side, up to 12 bits, because a crop by 5 % flips
about 8 and no banding reaches that far: 10,000 rows against 5,000 pictures are 50 million
differences, a tenth of a second. Cosines too, where the set names `min_similarity`. Whatever the
set's own limits, the search goes to 12 bits, so that a person can see what another limit would do.
Ramesh et al. 2021, section 3.2, did it the other way round and took the overlap out of the
evaluation sets: action = "list" writes what is left of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file
from pipelines.recipe_sections import EMBEDDING
from pipelines.selecting.candidates import Corpus, SignalUnit, first_of_each, item_output
from pipelines.selecting.duplicate_sections import EvalSet
from pipelines.selecting.eval_pictures import HashEvalPictures
from pipelines.selecting.eval_sets import EvalChunk
from pipelines.selecting.hamming import Hashes, tile_pairs
from pipelines.selecting.vectors import Vectors, as_vectors
from pipelines.steps import Step
from tokens.manifest import FileEntry, read_table

SEARCH_DISTANCE = 12
NEAREST = 10
"""Pairs that are listed for each evaluation picture, the nearest ones."""
WAITING_HITS = 1 << 20
ROWS_AT_A_TIME = 1_024

HIT = np.dtype(
    [
        ("set", "<u2"),
        ("picture", "<u4"),
        ("unit", "<u4"),
        ("row", "<u4"),
        ("distance", "u1"),
        ("similarity", "<f4"),
    ]
)
"""An evaluation picture (its place in its set) beside a row; a cosine that is not known is NaN."""

Hits = npt.NDArray[np.void]


@dataclass(frozen=True)
class EvalHashes:
    """One set's pictures that could be decoded."""

    pictures: npt.NDArray[np.int64]
    """Their places in the set."""
    hashes: Hashes
    vectors: Vectors | None
    """[N, D], each of length 1."""


def read_chunk(output: Output) -> pa.Table:
    """What `HashEvalPictures` wrote."""
    return read_table(output.folder, FileEntry(output.name, "", 0, 0, 0, ""))


@cache
def load_hashes(outputs: tuple[Output, ...]) -> EvalHashes:
    """One set's chunks, read once in a process."""
    table = pa.concat_tables(map(read_chunk, outputs))
    there = table["phash"].is_valid().to_numpy()
    vectors = None
    if EMBEDDING in table.column_names:
        vectors = as_vectors(table[EMBEDDING].filter(pa.array(there)))
    return EvalHashes(np.flatnonzero(there), table["phash"].drop_null().to_numpy(), vectors)


def counts_as_overlap(hits: Hits, sets: Sequence[EvalSet]) -> npt.NDArray[np.bool_]:
    """True for each hit that is within its set's own limits."""
    distances = np.array([one.max_distance for one in sets])
    limits = [np.inf if one.min_similarity is None else one.min_similarity for one in sets]
    cosines = np.array(limits, np.float32)
    near = hits["distance"] <= distances[hits["set"]]
    alike = hits["similarity"] >= cosines[hits["set"]]  # NaN is no cosine
    return np.asarray(near | alike, bool)


def keep_nearest(hits: Hits, sets: Sequence[EvalSet]) -> Hits:
    """The NEAREST hits of each picture: what counts as overlap first, then by distance, place."""
    outside = ~counts_as_overlap(hits, sets)
    keys = (hits["row"], hits["unit"], hits["distance"], outside, hits["picture"], hits["set"])
    ordered = hits[np.lexsort(keys)]
    starts = np.flatnonzero(first_of_each(ordered["set"], ordered["picture"]))
    ranks = np.arange(len(hits)) - np.repeat(starts, np.diff([*starts, len(hits)]))
    return ordered[ranks < NEAREST]


@dataclass(frozen=True, slots=True)
class CompareUnit:
    """One unit with all sets: rows that overlap (slice 0) and the nearest hits (slice 1)."""

    corpus: Corpus
    sets: tuple[EvalSet, ...]
    chunks: tuple[tuple[Output, ...], ...]
    """Per set."""

    def output(self, item: SignalUnit) -> Output:
        names = [output.name for outputs in self.chunks for output in outputs]
        limits = [f"{one.max_distance} {one.min_similarity} {one.action}" for one in self.sets]
        parts = (item.signals.sha256, self.corpus.key(item.index), *names, *limits)
        return item_output(self.corpus.folder, "overlap", item.index, parts)

    def rows(self, item: SignalUnit) -> int:
        return item.pairs.rows

    def __call__(self, item: SignalUnit) -> None:
        dropped, hits = [np.empty(0, np.uint32)], np.empty(0, HIT)
        drops = np.array([one.action == "drop" for one in self.sets])
        for found in self._search(item):
            found["unit"] = item.index
            counted = found[counts_as_overlap(found, self.sets)]
            dropped.append(np.unique(counted["row"][drops[counted["set"]]]))
            hits = np.concatenate([hits, keep_nearest(found, self.sets)])
            if len(hits) > WAITING_HITS:
                hits = keep_nearest(hits, self.sets)
        hits = keep_nearest(hits, self.sets)
        rows = np.unique(np.concatenate(dropped))
        runs = (join.whole(rows.astype(join.ROW)), join.whole(hits))
        commit_file(
            self.output(item), lambda sink: join.write_runs(sink, *runs), Written(len(rows))
        )
        progress.advance(item.pairs.rows)

    def _search(self, item: SignalUnit) -> Iterator[Hits]:
        rows = self.corpus.read_rows(item.index)
        columns = ["phash", *([EMBEDDING] if self._reads_vectors() else [])]
        signals = self.corpus.read_signals(item, *columns).take(rows)
        there = signals["phash"].is_valid()
        signals, rows = signals.filter(there), rows[there.to_numpy()]
        hashes = signals["phash"].to_numpy()
        for number, (one, outputs) in enumerate(zip(self.sets, self.chunks, strict=True)):
            known = load_hashes(outputs)
            vectors = as_vectors(signals[EMBEDDING]) if known.vectors is not None else None
            for down, across in _find_close(hashes, vectors, known, one.min_similarity):
                hits = np.zeros(len(down), HIT)
                hits["set"], hits["row"], hits["picture"] = (
                    number,
                    rows[down],
                    known.pictures[across],
                )
                hits["distance"] = np.bitwise_count(hashes[down] ^ known.hashes[across])
                hits["similarity"] = _cosines(vectors, known.vectors, down, across)
                yield hits

    def _reads_vectors(self) -> bool:
        return any(load_hashes(outputs).vectors is not None for outputs in self.chunks)


def _find_close(
    hashes: Hashes, vectors: Vectors | None, known: EvalHashes, min_similarity: float | None
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Places of rows and pictures that are close by hash, then of those by embedding alone."""
    for down, across, _ in tile_pairs(hashes, known.hashes, SEARCH_DISTANCE):
        yield down, across
    if vectors is None or known.vectors is None or min_similarity is None:
        return
    for start in range(0, len(vectors), ROWS_AT_A_TIME):
        cosines = vectors[start : start + ROWS_AT_A_TIME] @ known.vectors.T
        down, across = np.nonzero(cosines >= min_similarity)
        down = down + start
        new = np.bitwise_count(hashes[down] ^ known.hashes[across]) > SEARCH_DISTANCE
        yield down[new], across[new]


def _cosines(
    vectors: Vectors | None, known: Vectors | None, down: Any, across: Any
) -> npt.NDArray[np.float32]:
    if vectors is None or known is None:
        return np.full(len(down), np.nan, np.float32)
    return np.asarray(np.einsum("nd,nd->n", vectors[down], known[across]), np.float32)


@dataclass(frozen=True, slots=True)
class OverlapAnswers:
    """Where the comparison has put what it found."""

    sets: tuple[EvalSet, ...]
    chunks: tuple[tuple[Output, ...], ...]
    """Per set: what `HashEvalPictures` wrote."""
    answers: tuple[Output, ...]
    """Per unit: as `CompareUnit` writes them."""


def plan_eval_overlap(
    corpus: Corpus,
    units: Sequence[SignalUnit],
    sets: tuple[EvalSet, ...],
    chunks: Sequence[tuple[EvalChunk, ...]],
    hash_pictures: HashEvalPictures,
) -> tuple[tuple[Step, ...], OverlapAnswers]:
    """The steps that compare rows that no rule drops with evaluation pictures, and their answers.

    Args:
        chunks: per set, as `list_chunks` gives them.
    """
    hashed = tuple(tuple(map(hash_pictures.output, some)) for some in chunks)
    compare = CompareUnit(corpus, sets, hashed)
    steps = (
        Step("Hash Evaluation Pictures", hash_pictures, tuple(sum(chunks, ()))),
        Step("Compare With Evaluation", compare, tuple(units)),
    )
    return steps, OverlapAnswers(sets, hashed, tuple(map(compare.output, units)))
