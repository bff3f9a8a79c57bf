"""What a person may see of the overlap with evaluation sets, and what is left of the sets.

`decisions/eval_overlap.parquet`: for each evaluation picture its nearest pairs, up to ten, as far
as 12 bits or the set's own cosine: `set`, `picture` (its name there), `unit` and `row` (the pair's
place in `pairs/`), `pair_id`, `distance` (bits), `similarity` (cosine, null where not known),
`thumbnail` (JPEG of the evaluation picture). `decisions/eval_<set>.txt`, of a set with action =
"list": the names of its pictures that none of the pairs shows that pass the rules, one a line.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file, commit_table, write_all
from pipelines.selecting.candidates import Corpus, SignalUnit, item_output
from pipelines.selecting.eval_overlap import (
    HIT,
    SEARCH_DISTANCE,
    WAITING_HITS,
    Hits,
    OverlapAnswers,
    counts_as_overlap,
    keep_nearest,
    read_chunk,
)
from pipelines.selecting.listing import Listing
from pipelines.steps import Step
from tokens.manifest import FileEntry, read_table

FILE_NAME = "eval_overlap.parquet"

OVERLAP_SCHEMA = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("picture", pa.string(), nullable=False),
        pa.field("unit", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("pair_id", pa.binary(16), nullable=False),
        pa.field("distance", pa.uint8(), nullable=False),
        pa.field("similarity", pa.float32()),
        pa.field("thumbnail", pa.binary(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class ListOverlap:
    """The nearest pairs of every evaluation picture. The item is all units."""

    corpus: Corpus
    overlap: OverlapAnswers

    def output(self, item: tuple[SignalUnit, ...]) -> Output:
        names = [output.name for output in self.overlap.answers]
        made = item_output(self.corpus.folder, "overlap-list", 0, names)
        return Output(made.folder, made.name.replace(".bin", ".parquet"))

    def rows(self, item: tuple[SignalUnit, ...]) -> int:
        return 1

    def __call__(self, item: tuple[SignalUnit, ...]) -> None:
        hits = self._gather()
        parts = [self._describe(hits[hits["unit"] == unit.index], unit) for unit in item]
        table = pa.concat_tables([OVERLAP_SCHEMA.empty_table(), *parts])
        commit_table(self.output(item), table, Written(len(table)))
        progress.advance(1)

    def _gather(self) -> Hits:
        hits = np.empty(0, HIT)
        for output in self.overlap.answers:
            hits = np.concatenate([hits, join.read_slice(output, 1, HIT)])
            if len(hits) > WAITING_HITS:
                hits = keep_nearest(hits, self.overlap.sets)
        return keep_nearest(hits, self.overlap.sets)

    def _describe(self, hits: Hits, unit: SignalUnit) -> pa.Table:
        if not len(hits):
            return OVERLAP_SCHEMA.empty_table()
        parts = [
            self._show(number, hits[hits["set"] == number])
            for number in np.unique(hits["set"]).tolist()
        ]
        shown = pa.concat_tables(parts)
        hits = hits[np.argsort(hits["set"], kind="stable")]
        pair_ids = self.corpus.read_pairs(unit, "pair_id")["pair_id"]
        columns = {
            "unit": pa.array(hits["unit"].astype(np.int32)),
            "row": pa.array(hits["row"].astype(np.int64)),
            "pair_id": pair_ids.take(hits["row"].astype(np.int64)),
            "distance": pa.array(hits["distance"]),
            "similarity": pa.array(hits["similarity"], mask=np.isnan(hits["similarity"])),
        }
        columns |= {name: shown[name] for name in ("set", "picture", "thumbnail")}
        return pa.table([columns[name] for name in OVERLAP_SCHEMA.names], schema=OVERLAP_SCHEMA)

    def _show(self, number: int, hits: Hits) -> pa.Table:
        shown = load_pictures(self.overlap.chunks[number]).take(hits["picture"].astype(np.int64))
        name = pa.array([self.overlap.sets[number].name] * len(hits))
        return shown.append_column("set", name)


@cache
def load_pictures(outputs: tuple[Output, ...]) -> pa.Table:
    """Names and thumbnails of one set, read once in a process."""
    return pa.concat_tables(map(read_chunk, outputs)).select(["picture", "thumbnail"])


@dataclass(frozen=True, slots=True)
class Overlapping:
    """A set's pictures and what was found of them."""

    names: list[str]
    refused: int
    """Pictures that could not be decoded."""
    nearest: dict[str, int]
    """By name: the least distance of a pair, for those within the search."""
    overlapping: set[str]


@dataclass(frozen=True, slots=True)
class DescribeOverlap:
    """What the manifest's details say of every set. The item is the list of nearest pairs."""

    folder: str
    overlap: OverlapAnswers

    def output(self, item: Output) -> Output:
        return item_output(self.folder, "overlap-facts", 0, [item.name])

    def rows(self, item: Output) -> int:
        return 1

    def __call__(self, item: Output) -> None:
        sets = range(len(self.overlap.sets))
        facts = {"eval_overlap": [self._describe(number, item) for number in sets]}
        text = json.dumps(facts, sort_keys=True).encode()
        commit_file(self.output(item), lambda sink: write_all(sink, text), Written(0))
        progress.advance(1)

    def _describe(self, number: int, item: Output) -> dict[str, Any]:
        found = find_overlapping(self.overlap, number, item)
        distances = list(found.nearest.values())
        return {
            "set": self.overlap.sets[number].name,
            "pictures": len(found.names),
            "refused": found.refused,
            "overlapping": len(found.overlapping),
            "per_distance": {str(d): distances.count(d) for d in sorted(set(distances))},
        }


def find_overlapping(overlap: OverlapAnswers, number: int, listed: Output) -> Overlapping:
    """Which pictures of a set some pair shows, by the list of nearest pairs."""
    one = overlap.sets[number]
    pictures = pa.concat_tables(map(read_chunk, overlap.chunks[number]))
    table = read_table(listed.folder, FileEntry(listed.name, "", 0, 0, 0, ""))
    table = table.filter(pc.equal(table["set"], one.name))
    hits = np.zeros(len(table), HIT)
    hits["distance"] = table["distance"].to_numpy()
    hits["similarity"] = table["similarity"].to_numpy()  # a null is NaN
    counted = counts_as_overlap(hits, [one])
    nearest: dict[str, int] = {}
    names = table["picture"].to_pylist()
    for name, distance in zip(names, hits["distance"].tolist(), strict=True):
        if distance <= SEARCH_DISTANCE:
            nearest[name] = min(distance, nearest.get(name, distance))
    overlapping = {name for name, inside in zip(names, counted, strict=True) if inside}
    refused = pictures["phash"].null_count
    return Overlapping(pictures["picture"].to_pylist(), refused, nearest, overlapping)


@dataclass(frozen=True, slots=True)
class ListRemaining:
    """The names of a set's pictures that no pair shows. The item is the set's number."""

    folder: str
    overlap: OverlapAnswers
    listed: Output

    def output(self, item: int) -> Output:
        name = f"remaining-{self.overlap.sets[item].name}"
        return item_output(self.folder, name, item, [self.listed.name])

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        found = find_overlapping(self.overlap, item, self.listed)
        left = [name for name in found.names if name not in found.overlapping]
        text = "".join(f"{name}\n" for name in left).encode()
        commit_file(self.output(item), lambda sink: write_all(sink, text), Written(len(left)))
        progress.advance(1)


def plan_eval_list(
    corpus: Corpus, units: tuple[SignalUnit, ...], overlap: OverlapAnswers
) -> Listing:
    """List the nearest pairs, describe the overlap, and write what is left of listed sets."""
    listing = ListOverlap(corpus, overlap)
    listed = listing.output(units)
    describe = DescribeOverlap(corpus.folder, overlap)
    remaining = ListRemaining(corpus.folder, overlap, listed)
    listed_sets = [n for n, one in enumerate(overlap.sets) if one.action == "list"]
    steps = (
        Step("Tell Overlap", listing, (units,)),
        Step("Describe Overlap", describe, (listed,)),
        *((Step("Tell Evaluation", remaining, tuple(listed_sets)),) if listed_sets else ()),
    )
    lists = [(remaining.output(n).url, f"eval_{overlap.sets[n].name}.txt") for n in listed_sets]
    return Listing(steps, ((listed.url, FILE_NAME), *lists), (describe.output(listed).url,))
