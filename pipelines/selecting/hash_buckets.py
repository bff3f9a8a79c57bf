"""Perceptual hashes on their way into a join: each once, by bucket and by block.

What is equal is collapsed in the unit and again in the bucket, so that a hash that a million flat
pictures share is one record a unit, and one hash from the bucket on.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file
from pipelines.selecting.candidates import (
    Corpus,
    SignalUnit,
    first_of_each,
    item_output,
    order_best_first,
    read_areas,
)
from pipelines.selecting.hamming import Hashes, cut_blocks

HASH = np.dtype(
    [("hash", "<u8"), ("area", "<u4"), ("unit", "<u4"), ("row", "<u4"), ("rows", "<u4")]
)
"""A distinct hash, the best row that has it, and how many rows do."""

MIXER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio (Knuth's multiplicative hashing): spreads neighbouring numbers."""


def collapse(records: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Each hash once, in order, with its best row and the sum of `rows`."""
    ordered = records[order_best_first(records, records["hash"])]
    first = first_of_each(ordered["hash"])
    best = ordered[first]
    if len(best):
        best["rows"] = np.add.reduceat(ordered["rows"], np.flatnonzero(first))
    return best


def spread_hashes(hashes: Hashes, buckets: int) -> npt.NDArray[np.int64]:
    """Which bucket each hash falls into: all its bits decide, for some hardly ever change."""
    return join.top_bits(hashes * MIXER, buckets)


@dataclass(frozen=True, slots=True)
class ScatterHashes:
    """One unit's perceptual hashes, each once, scattered into buckets."""

    corpus: Corpus
    buckets: int

    def output(self, item: SignalUnit) -> Output:
        parts = (str(self.buckets), item.signals.sha256, self.corpus.key(item.index))
        return item_output(self.corpus.folder, "hashes", item.index, parts)

    def rows(self, item: SignalUnit) -> int:
        return item.pairs.rows

    def __call__(self, item: SignalUnit) -> None:
        records = collapse(self._read(item))
        run = join.sort_into(records, spread_hashes(records["hash"], self.buckets), self.buckets)
        commit_file(
            self.output(item), lambda sink: join.write_runs(sink, run), Written(len(records))
        )
        progress.advance(item.pairs.rows)

    def _read(self, item: SignalUnit) -> npt.NDArray[np.void]:
        rows = self.corpus.read_rows(item.index)
        hashes = self.corpus.read_signals(item, "phash")["phash"].take(rows)
        rows = rows[hashes.is_valid().to_numpy()]
        records = np.zeros(len(rows), HASH)
        records["hash"] = hashes.drop_null().to_numpy()
        records["row"], records["unit"], records["rows"] = rows, item.index, 1
        pairs = self.corpus.read_pairs(item, "original_width", "original_height")
        records["area"] = read_areas(pairs, rows)
        return records


@dataclass(frozen=True, slots=True)
class CollapseBucket:
    """One bucket's hashes, each once, and again by each of their blocks."""

    folder: str
    hashes: tuple[Output, ...]
    max_distance: int
    parts: int

    def output(self, item: int) -> Output:
        names = (str(self.max_distance), str(self.parts), *(o.name for o in self.hashes))
        return item_output(self.folder, "distinct", item, names)

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        table = collapse(join.gather(self.hashes, item, HASH))
        blocks = cut_blocks(self.max_distance)[:-1]  # the last is never a pair's first equal one
        runs = [self._sort_by_block(table["hash"], block.shift, block.width) for block in blocks]
        commit_file(
            self.output(item),
            lambda sink: join.write_runs(sink, join.whole(table), *runs),
            Written(len(table)),
        )
        progress.advance(1)

    def _sort_by_block(self, hashes: Hashes, shift: int, width: int) -> join.Run:
        raised = hashes << np.uint64(64 - shift - width)
        return join.sort_into(hashes, spread_blocks(raised, width, self.parts), self.parts)


def spread_blocks(raised: Hashes, width: int, parts: int) -> npt.NDArray[np.int64]:
    """Which part each hash falls into by the block that stands at its top."""
    blocks = raised >> np.uint64(64 - width)
    return join.top_bits(blocks * MIXER, parts)
