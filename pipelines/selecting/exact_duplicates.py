"""Exact duplicates over the whole corpus: equal bytes, equal pixels, equal hash and caption.

Equal bytes have equal pixels, and equal pixels an equal perceptual hash, so whatever is dropped
here leaves a picture of the same perceptual hash behind. Copies are first sought in the unit, so
that a picture that stands in every row sends one record a unit to its bucket, and no bucket grows
with it. A record takes 29 bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

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
from pipelines.selecting.duplicate_sections import EXACT
from pipelines.steps import Step

COPY = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u8"),
        ("area", "<u4"),
        ("unit", "<u4"),
        ("row", "<u4"),
        ("level", "u1"),
    ]
)
"""What is equal (a place in EXACT), its digest, and a row that has it."""

DROPPED = np.dtype([("row", "<u4"), ("level", "u1")])

COLUMNS = {"bytes": "sha256", "pixels": "pixel_hash"}

Copies = npt.NDArray[np.void]


def split_copies(copies: Copies) -> tuple[Copies, Copies]:
    """The best row of each digest, and all others; `copies` stand in the order of (unit, row)."""
    order = order_best_first(copies, copies["low"], copies["high"], copies["level"])
    ordered = copies[order]
    first = first_of_each(ordered["level"], ordered["high"], ordered["low"])
    return ordered[first], ordered[~first]


def list_dropped(copies: Copies) -> npt.NDArray[np.void]:
    """What a unit needs to know of copies that are dropped."""
    dropped = np.zeros(len(copies), DROPPED)
    dropped["row"], dropped["level"] = copies["row"], copies["level"]
    return dropped


def digest_captions(hashes: pa.Array, captions: pa.Array) -> pa.Array:
    """xxh3-128 of perceptual hash (8 bytes, little-endian) and caption; null where either is."""
    digests = [
        None
        if phash is None or caption is None
        else xxhash.xxh3_128_digest(phash.to_bytes(8, "little") + caption.encode())
        for phash, caption in zip(hashes.to_pylist(), captions.to_pylist(), strict=True)
    ]
    return pa.array(digests, pa.binary(16))


@dataclass(frozen=True, slots=True)
class ScatterCopies:
    """One unit's digests, scattered into buckets; behind them, the rows that fall in the unit."""

    corpus: Corpus
    levels: tuple[str, ...]
    buckets: int

    def output(self, item: SignalUnit) -> Output:
        parts = (
            *(str(self.buckets), *self.levels),
            *(item.pairs.sha256, item.signals.sha256, self.corpus.key(item.index)),
        )
        return item_output(self.corpus.folder, "copies", item.index, parts)

    def rows(self, item: SignalUnit) -> int:
        return item.pairs.rows

    def __call__(self, item: SignalUnit) -> None:
        best, fallen = split_copies(self._read(item))
        run = join.sort_into(best, join.top_bits(best["high"], self.buckets), self.buckets)
        commit_file(
            self.output(item),
            lambda sink: join.write_runs(sink, run, join.whole(list_dropped(fallen))),
            Written(len(best)),
        )
        progress.advance(item.pairs.rows)

    def _read(self, item: SignalUnit) -> Copies:
        rows = self.corpus.read_rows(item.index)
        columns = [COLUMNS.get(level, "caption") for level in self.levels]
        pairs = self.corpus.read_pairs(item, "original_width", "original_height", *columns)
        areas = read_areas(pairs, rows)
        parts = [np.empty(0, COPY)]
        for level in self.levels:
            digests = self._digest(level, item, pairs, rows)
            there = digests.is_valid().to_numpy(zero_copy_only=False)
            copies = np.zeros(len(rows), COPY)
            copies["high"], copies["low"] = join.split_digests(digests).T
            copies["area"], copies["unit"], copies["row"] = areas, item.index, rows
            copies["level"] = EXACT.index(level)
            parts.append(copies[there])
        return np.concatenate(parts)

    def _digest(
        self, level: str, item: SignalUnit, pairs: pa.Table, rows: npt.NDArray[np.int64]
    ) -> pa.Array:
        if level in COLUMNS:
            return pairs[COLUMNS[level]].take(rows).combine_chunks()
        hashes = self.corpus.read_signals(item, "phash")["phash"].take(rows)
        return digest_captions(hashes, pairs["caption"].take(rows))


@dataclass(frozen=True, slots=True)
class FindCopies:
    """One bucket's rows of which a better copy stands elsewhere, told to their units."""

    folder: str
    copies: tuple[Output, ...]

    def output(self, item: int) -> Output:
        return item_output(self.folder, "fallen", item, [output.name for output in self.copies])

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        _, fallen = split_copies(join.gather(self.copies, item, COPY))
        units = fallen["unit"].astype(np.int64)
        run = join.sort_into(list_dropped(fallen), units, len(self.copies))
        commit_file(
            self.output(item), lambda sink: join.write_runs(sink, run), Written(len(fallen))
        )
        progress.advance(1)


@dataclass(frozen=True, slots=True)
class ExactAnswers:
    """Where the join has put what it found."""

    local: tuple[Output, ...]
    """Per unit: behind `buckets` slices, the rows that fall to a row of the same unit."""
    answers: tuple[Output, ...]
    """Per bucket: DROPPED records by unit."""

    def read(self, unit: int, rows: int) -> npt.NDArray[np.uint8]:
        """Per row of a unit: the first of EXACT in which a better row equals it, or len(EXACT)."""
        levels = np.full(rows, len(EXACT), np.uint8)
        fallen = join.read_slice(self.local[unit], len(self.answers), DROPPED)
        for told in (fallen, join.read_answers(self.answers, unit, DROPPED)):
            np.minimum.at(levels, told["row"], told["level"])
        return levels


def plan_exact_duplicates(
    corpus: Corpus, units: Sequence[SignalUnit], levels: tuple[str, ...]
) -> tuple[tuple[Step, ...], ExactAnswers]:
    """The steps that find copies among the rows that take part, and their answers."""
    buckets = join.choose_buckets(len(levels) * sum(unit.pairs.rows for unit in units))
    scatter = ScatterCopies(corpus, levels, buckets)
    copies = tuple(map(scatter.output, units))
    find = FindCopies(corpus.folder, copies)
    numbers = tuple(range(buckets))
    steps = Step("Scatter Copies", scatter, tuple(units)), Step("Find Copies", find, numbers)
    return steps, ExactAnswers(copies, tuple(map(find.output, numbers)))
