"""`caption_count`: how many rows of the corpus have a caption, by the same join as duplicates.

Rows count that were fetched. Captions are one where they are equal after Unicode's NFKC, in lower
case, with any run of white space as one blank and none at the ends: so that "A  Red Boat" and "a
red boat" are one. A unit sends each of its captions once, with its rows, so that a caption that
stands in every row sends one record of 28 bytes a unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file
from pipelines.ledger import OK
from pipelines.selecting.candidates import first_of_each, item_output
from pipelines.steps import Step
from tokens.manifest import FileEntry, read_table

COUNT = np.dtype(
    [("high", "<u8"), ("low", "<u8"), ("unit", "<u4"), ("place", "<u4"), ("rows", "<u4")]
)
"""A caption, its place among the different ones of its unit, and its rows there."""

TOLD = np.dtype([("place", "<u4"), ("rows", "<u4")])


def normalise_captions(captions: pa.ChunkedArray) -> pa.ChunkedArray:
    """Captions as they are compared."""
    composed = pc.utf8_normalize(captions, form="NFKC")
    blanks = pc.replace_substring_regex(pc.utf8_lower(composed), r"[\s\p{Z}]+", " ")
    return pc.utf8_trim_whitespace(blanks)


def sum_rows(counts: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """For each record, the rows of all records with its caption."""
    order = np.lexsort((counts["low"], counts["high"]))
    first = first_of_each(counts["high"][order], counts["low"][order])
    sums = np.zeros(len(counts), np.int64)
    if len(counts):
        group = np.cumsum(first) - 1
        sums[order] = np.add.reduceat(
            counts["rows"][order].astype(np.int64), np.flatnonzero(first)
        )[group]
    return sums


@dataclass(frozen=True, slots=True)
class ScatterCaptions:
    """One unit's captions, scattered into buckets; behind them, which of them each row has."""

    pairs_folder: str
    folder: str
    buckets: int

    def output(self, item: FileEntry) -> Output:
        return item_output(self.folder, "captions", item.index, (str(self.buckets), item.sha256))

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def __call__(self, item: FileEntry) -> None:
        pairs = read_table(self.pairs_folder, item, ("caption", "outcome"))
        captions = pairs["caption"].filter(pc.equal(pairs["outcome"], OK))
        spelled = normalise_captions(captions).combine_chunks().dictionary_encode()
        counts = self._count(spelled, item.index)
        run = join.sort_into(counts, join.top_bits(counts["high"], self.buckets), self.buckets)
        places = spelled.indices.to_numpy().astype("<u4")
        commit_file(
            self.output(item),
            lambda sink: join.write_runs(sink, run, join.whole(places)),
            Written(len(counts)),
        )
        progress.advance(item.rows)

    def _count(self, spelled: pa.DictionaryArray, unit: int) -> npt.NDArray[np.void]:
        captions = spelled.dictionary
        digests = [xxhash.xxh3_128_digest(text.encode()) for text in captions.to_pylist()]
        counts = np.zeros(len(captions), COUNT)
        counts["high"], counts["low"] = join.split_digests(pa.array(digests, pa.binary(16))).T
        counts["unit"], counts["place"] = unit, np.arange(len(captions))
        counts["rows"] = np.bincount(spelled.indices.to_numpy(), minlength=len(captions))
        return counts


@dataclass(frozen=True, slots=True)
class SumCaptions:
    """One bucket's captions that more than one row has, told to their units."""

    folder: str
    captions: tuple[Output, ...]

    def output(self, item: int) -> Output:
        return item_output(self.folder, "counts", item, [output.name for output in self.captions])

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        counts = join.gather(self.captions, item, COUNT)
        sums = sum_rows(counts)
        counts, sums = counts[sums > 1], sums[sums > 1]
        told = np.zeros(len(counts), TOLD)
        told["place"], told["rows"] = counts["place"], np.minimum(sums, 2**32 - 1)
        run = join.sort_into(told, counts["unit"].astype(np.int64), len(self.captions))
        commit_file(self.output(item), lambda sink: join.write_runs(sink, run), Written(len(told)))
        progress.advance(1)


@dataclass(frozen=True, slots=True)
class CaptionAnswers:
    """Where the count has put what it found."""

    places: tuple[Output, ...]
    """Per unit: behind `answers` slices, each fetched row's caption."""
    answers: tuple[Output, ...]
    """Per bucket: TOLD records by unit."""

    def read(self, unit: int, outcomes: pa.ChunkedArray) -> pa.Array:
        """`caption_count` of a unit's rows; null for a row that was not fetched."""
        places = join.read_slice(self.places[unit], len(self.answers), join.ROW)
        counts = np.ones(len(places) and int(places.max()) + 1, np.uint32)
        told = join.read_answers(self.answers, unit, TOLD)
        counts[told["place"]] = told["rows"]
        fetched = pc.equal(outcomes, OK).to_numpy()
        column = np.zeros(len(fetched), np.uint32)
        column[fetched] = counts[places]
        return pa.array(column, pa.uint32(), mask=~fetched)


def plan_caption_counts(
    pairs_folder: str, folder: str, entries: Sequence[FileEntry]
) -> tuple[tuple[Step, ...], CaptionAnswers]:
    """The steps that count every caption over the corpus, and their answers."""
    buckets = join.choose_buckets(sum(entry.rows for entry in entries))
    scatter = ScatterCaptions(pairs_folder, folder, buckets)
    captions = tuple(map(scatter.output, entries))
    count = SumCaptions(folder, captions)
    numbers = tuple(range(buckets))
    steps = (
        Step("Scatter Captions", scatter, tuple(entries)),
        Step("Count Captions", count, numbers),
    )
    return steps, CaptionAnswers(captions, tuple(map(count.output, numbers)))
