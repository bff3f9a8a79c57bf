"""Rows whose (URL, caption) stands in another row too: always dropped, whatever the recipe says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file
from pipelines.join import Keys
from pipelines.ledger import OK
from pipelines.selecting.candidates import item_output
from pipelines.steps import Step
from tokens.manifest import FileEntry, read_table


def later_rows(keys: Keys) -> npt.NDArray[np.bool_]:
    """True for each row whose pair another row stands for.

    Of rows with one key the keeper is the first in input order that was fetched, or the first
    of all where none was. `keys` may be in any order, and `flag` is 1 for a fetched row.
    """
    order = np.lexsort((keys["row"], keys["unit"], keys["flag"] == 0, keys["low"], keys["high"]))
    halves = keys[["high", "low"]][order]
    later = np.zeros(len(keys), bool)
    later[order[1:]] = halves[1:] == halves[:-1]
    return later


@dataclass(frozen=True, slots=True)
class ScatterPairs:
    """One unit's pair ids, scattered into buckets; the flag says that the picture is there."""

    pairs_folder: str
    folder: str
    buckets: int

    def output(self, item: FileEntry) -> Output:
        return item_output(self.folder, "keys", item.index, (str(self.buckets), item.sha256))

    def rows(self, item: FileEntry) -> int:
        return item.rows

    def __call__(self, item: FileEntry) -> None:
        pairs = read_table(self.pairs_folder, item, ("pair_id", "outcome"))
        fetched = pc.equal(pairs["outcome"], OK).to_numpy().astype(np.uint8)
        keys = join.make_keys(pairs["pair_id"].combine_chunks(), item.index, fetched)
        commit_file(
            self.output(item),
            lambda sink: join.scatter(sink, keys, self.buckets),
            Written(len(keys)),
        )
        progress.advance(item.rows)


@dataclass(frozen=True, slots=True)
class FindDuplicates:
    """One bucket's rows whose pair another row stands for, told to their units."""

    folder: str
    keys: tuple[Output, ...]

    def output(self, item: int) -> Output:
        return item_output(self.folder, "later", item, [output.name for output in self.keys])

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        keys = join.gather(self.keys, item)
        later = keys[later_rows(keys)]
        commit_file(
            self.output(item),
            lambda sink: join.write_answers(sink, later, units=len(self.keys)),
            Written(len(later)),
        )
        progress.advance(1)


def plan_pair_duplicates(
    pairs_folder: str, folder: str, entries: Sequence[FileEntry]
) -> tuple[tuple[Step, ...], tuple[Output, ...]]:
    """The steps that find pairs that stand twice, and their answers: per bucket, rows by unit."""
    buckets = join.choose_buckets(sum(entry.rows for entry in entries))
    scatter = ScatterPairs(pairs_folder, folder, buckets)
    find = FindDuplicates(folder, tuple(map(scatter.output, entries)))
    numbers = tuple(range(buckets))
    steps = Step("Scatter Keys", scatter, tuple(entries)), Step("Find Duplicates", find, numbers)
    return steps, tuple(map(find.output, numbers))
