"""Pictures that say the same, by their CLIP embeddings, after SemDeDup.

    units ──sample──> k-means centres ──> each row's centre ──> close rows of one centre ──> units

Abbas et al. 2023, "SemDeDup: Data-efficient learning at web-scale through semantic deduplication":
embeddings are put into cells by k-means on their directions, and within a cell a row is dropped
whose cosine with another is at least `min_similarity`. Two likenesses in different cells are not
found: that is the paper's bargain, and unlike the near duplicates' this recall is not 100 %. The
paper keeps of each group the row that is least like its centre; here the keeper is the better one
by the order that holds for every kind of duplicate (`candidates.py`), so that whatever falls here
falls to a row that no other kind of duplicate takes away from it.

k-means runs in one process and one thread (faiss, seeded), on 256 rows a centre at most, so that
its centres do not depend on the machine's cores. A cell is compared in tiles of 32 MB.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file
from pipelines.recipe_sections import EMBEDDING
from pipelines.selecting.candidates import (
    Corpus,
    SignalUnit,
    item_output,
    order_best_first,
    read_areas,
)
from pipelines.selecting.duplicate_sections import SemanticDuplicates
from pipelines.selecting.vectors import Vectors, as_vectors, normalise
from pipelines.steps import Step

ROW = np.dtype([("centre", "<u4"), ("area", "<u4"), ("unit", "<u4"), ("row", "<u4")])

SAMPLE_PER_CENTRE = 256
"""Rows that k-means learns a centre from, at most: faiss's own default."""
TILE_ROWS, TILE_COLUMNS = 1_024, 8_192
ROWS_PER_GROUP = 1 << 18
"""Rows whose cells one work item compares: 256 MB of CLIP's 512 halves."""

Rows = npt.NDArray[np.void]


def train_centres(vectors: Vectors, count: int, settings: SemanticDuplicates) -> Vectors:
    """k-means centres of directions, [count, D], each of length 1; the same for the same rows."""
    import faiss  # an extra, and 60 MB

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        means = faiss.Kmeans(
            vectors.shape[1],
            count,
            niter=settings.iterations,
            seed=settings.seed,
            spherical=True,
            min_points_per_centroid=1,
            max_points_per_centroid=SAMPLE_PER_CENTRE,
        )
        means.train(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    return normalise(np.asarray(means.centroids))


def find_centres(vectors: Vectors, centres: Vectors) -> npt.NDArray[np.int64]:
    """The place of each row's nearest centre by cosine; the first of equal ones."""
    parts = [
        (vectors[start : start + TILE_ROWS] @ centres.T).argmax(axis=1)
        for start in range(0, len(vectors), TILE_ROWS)
    ]
    return np.concatenate([np.empty(0, np.int64), *parts])


def find_close(vectors: Vectors, min_similarity: float) -> npt.NDArray[np.bool_]:
    """True for each row that an earlier row is as close to as `min_similarity`, or closer."""
    close = np.zeros(len(vectors), bool)
    for start in range(0, len(vectors), TILE_ROWS):
        rows = vectors[start : start + TILE_ROWS]
        for column in range(0, start + len(rows), TILE_COLUMNS):
            earlier = vectors[column : min(column + TILE_COLUMNS, start + len(rows))]
            alike = rows @ earlier.T >= np.float32(min_similarity)
            places = np.arange(column, column + len(earlier))
            alike &= places < np.arange(start, start + len(rows))[:, None]
            close[start : start + len(rows)] |= alike.any(axis=1)
    return close


def read_vectors(corpus: Corpus, item: SignalUnit) -> tuple[npt.NDArray[np.int64], Vectors]:
    """The rows of a unit that take part and have an embedding, and those."""
    rows = corpus.read_rows(item.index)
    column = corpus.read_signals(item, EMBEDDING)[EMBEDDING].take(pa.array(rows))
    there = column.is_valid()
    return rows[there.to_numpy()], as_vectors(column.filter(there))


@dataclass(frozen=True, slots=True)
class TrainCentres:
    """k-means over a sample of all units. The item is all units."""

    corpus: Corpus
    settings: SemanticDuplicates

    def output(self, item: tuple[SignalUnit, ...]) -> Output:
        units = [f"{unit.signals.sha256} {self.corpus.key(unit.index)}" for unit in item]
        return item_output(self.corpus.folder, "centres", 0, [str(self.settings), *units])

    def rows(self, item: tuple[SignalUnit, ...]) -> int:
        return 1

    def __call__(self, item: tuple[SignalUnit, ...]) -> None:
        candidates = sum(len(self.corpus.read_rows(unit.index)) for unit in item)
        count = max(1, round(candidates / self.settings.rows_per_centre))
        share = count * SAMPLE_PER_CENTRE / max(1, candidates)
        sample = [vectors for vectors in self._sample(item, share) if len(vectors)]
        vectors = np.concatenate(sample) if sample else np.zeros((1, 1), np.float32)
        centres = train_centres(vectors, min(count, len(vectors)), self.settings)
        shape = np.array(centres.shape, "<u8")
        commit_file(
            self.output(item),
            lambda sink: join.write_runs(sink, join.whole(shape), join.whole(centres.ravel())),
            Written(len(centres)),
        )
        progress.advance(1)

    def _sample(self, units: tuple[SignalUnit, ...], share: float) -> Iterator[Vectors]:
        """About `share` of the rows; which ones, their pair ids decide."""
        for unit in units:
            rows, vectors = read_vectors(self.corpus, unit)
            ids = self.corpus.read_pairs(unit, "pair_id")["pair_id"].take(pa.array(rows))
            drawn = join.split_digests(ids.combine_chunks())[:, 0] / 2.0**64
            yield vectors[drawn < share]


def read_centres(output: Output) -> Vectors:
    """What `TrainCentres` wrote."""
    shape = join.read_slice(output, 0, np.dtype("<u8"))
    return join.read_slice(output, 1, np.dtype("<f4")).reshape(*shape.tolist())


@dataclass(frozen=True, slots=True)
class AssignUnit:
    """One unit's rows and embeddings, scattered into groups of centres."""

    corpus: Corpus
    centres: Output
    groups: int

    def output(self, item: SignalUnit) -> Output:
        parts = (str(self.groups), self.centres.name, item.signals.sha256)
        return item_output(self.corpus.folder, "cells", item.index, parts)

    def rows(self, item: SignalUnit) -> int:
        return item.pairs.rows

    def __call__(self, item: SignalUnit) -> None:
        places, vectors = read_vectors(self.corpus, item)
        rows = np.zeros(len(places), ROW)
        if len(rows):
            rows["centre"] = find_centres(vectors, read_centres(self.centres))
        pairs = self.corpus.read_pairs(item, "original_width", "original_height")
        rows["area"], rows["unit"], rows["row"] = read_areas(pairs, places), item.index, places
        groups = (rows["centre"] % self.groups).astype(np.int64)
        packed = vectors.astype("<f2").view(f"V{2 * max(1, vectors.shape[1])}").ravel()
        runs = [join.sort_into(values, groups, self.groups) for values in (rows, packed)]
        commit_file(
            self.output(item), lambda sink: join.write_runs(sink, *runs), Written(len(rows))
        )
        progress.advance(item.pairs.rows)


@dataclass(frozen=True, slots=True)
class FindSemantic:
    """One group's rows that a better row of their cell is close to, told to their units."""

    folder: str
    cells: tuple[Output, ...]
    centres: Output
    groups: int
    min_similarity: float

    def output(self, item: int) -> Output:
        parts = [str(self.min_similarity), *(output.name for output in self.cells)]
        return item_output(self.folder, "semantic", item, parts)

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        width = read_centres(self.centres).shape[1]
        rows = join.gather(self.cells, item, ROW)
        packed = join.gather(self.cells, self.groups + item, np.dtype(f"V{2 * width}"))
        dropped = rows[self._find(rows, packed.view("<f2").reshape(-1, width))]
        run = join.sort_into(
            dropped["row"].astype(join.ROW), dropped["unit"].astype(np.int64), len(self.cells)
        )
        commit_file(
            self.output(item), lambda sink: join.write_runs(sink, run), Written(len(dropped))
        )
        progress.advance(1)

    def _find(self, rows: Rows, halves: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        order = order_best_first(rows, rows["centre"])
        dropped = np.zeros(len(rows), bool)
        sizes = np.unique(rows["centre"], return_counts=True)[1]
        for cell in np.split(order, np.cumsum(sizes)[:-1]):
            dropped[cell] = find_close(normalise(halves[cell]), self.min_similarity)
        return dropped


def plan_semantic_duplicates(
    corpus: Corpus, units: tuple[SignalUnit, ...], settings: SemanticDuplicates
) -> tuple[tuple[Step, ...], tuple[Output, ...]]:
    """The steps that find rows that say the same, and their answers: per group, rows by unit."""
    train = TrainCentres(corpus, settings)
    centres = train.output(units)
    groups = -(-sum(unit.pairs.rows for unit in units) // ROWS_PER_GROUP)
    assign = AssignUnit(corpus, centres, max(1, groups))
    cells = tuple(map(assign.output, units))
    find = FindSemantic(corpus.folder, cells, centres, assign.groups, settings.min_similarity)
    numbers = tuple(range(assign.groups))
    steps = (
        Step("Train Centres", train, (units,)),
        Step("Assign Centres", assign, units),
        Step("Find Semantic Duplicates", find, numbers),
    )
    return steps, tuple(map(find.output, numbers))
