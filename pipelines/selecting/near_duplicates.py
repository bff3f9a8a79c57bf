"""Near duplicates over the whole corpus: clusters of pictures whose perceptual hashes are close.

    unit ──hashes──> bucket ──each hash once──> block ──pairs──> clusters ──> bucket ──> unit

Every two pictures whose hashes differ in at most `max_distance` bits land in one cluster: recall
is 100 % (`hamming.py` says why). Equal hashes are collapsed first, in the unit and again in the
bucket, so that a hash that a million flat pictures share is one hash from there on. What is
connected through others is one cluster too, and the report says how wide the largest is.

Memory: a bucket holds two million distinct hashes at 24 bytes, and one record more per unit for
each hash that many units share. A block's part holds the distinct hashes whose block lies in its
range, about 80 bytes each while it sorts, and one tile of 2 MB: 12 GB would take 150 million
hashes that all share one block. Clusters are joined in one place, 100 bytes for each hash
that has a near neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines import join, progress
from pipelines.commit import Output, Written, commit_file, require_record
from pipelines.selecting.candidates import Corpus, SignalUnit, first_of_each, item_output
from pipelines.selecting.clusters import connect, span_pairs
from pipelines.selecting.hamming import Hashes, close_pairs, greatest_distance
from pipelines.selecting.hash_buckets import HASH, CollapseBucket, ScatterHashes, spread_hashes
from pipelines.steps import Step

MEMBER = np.dtype(
    [("hash", "<u8"), ("cluster", "<u8"), ("keeper", "<u8"), ("unit", "<u4"), ("row", "<u4")]
)
"""A hash of a cluster: the cluster's smallest hash, which names it, the keeper's hash and place."""

EXACT_DIAMETER_HASHES = 1 << 16
"""Up to so many hashes of the largest cluster are all compared: 2 seconds."""

Members = npt.NDArray[np.void]


def find_keepers(table: npt.NDArray[np.void], roots: Hashes) -> Members:
    """The members of clusters, in the order of their hashes, each with the cluster's best row.

    Args:
        table: collapsed records of the members, in the order of their hashes.
        roots: the smallest hash of each one's cluster.
    """
    order = np.lexsort((table["row"], table["unit"], 2**32 - 1 - table["area"], roots))
    first = first_of_each(roots[order])
    best = table[order][first]
    which = np.searchsorted(roots[order][first], roots)
    members = np.zeros(len(table), MEMBER)
    members["hash"], members["cluster"] = table["hash"], roots
    members["keeper"] = best["hash"][which]
    members["unit"], members["row"] = best["unit"][which], best["row"][which]
    return members


def find_hashes(
    members: Members, hashes: Hashes
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which hashes are in `members`, which stand in the order of theirs, and where those stand."""
    places = np.searchsorted(members["hash"], hashes)
    found = places < len(members)
    found[found] = members["hash"][places[found]] == hashes[found]
    return found, places[found]


@dataclass(frozen=True, slots=True)
class BlockPart:
    """The hashes that have one of some values in one of their blocks."""

    block: int
    part: int


@dataclass(frozen=True, slots=True)
class FindPairs:
    """What connects the close hashes of one part of one block; counts the pairs."""

    folder: str
    distinct: tuple[Output, ...]
    max_distance: int
    parts: int

    def output(self, item: BlockPart) -> Output:
        names = (str(self.max_distance), *(output.name for output in self.distinct))
        return item_output(self.folder, f"pairs{item.block}", item.part, names)

    def rows(self, item: BlockPart) -> int:
        return 1

    def __call__(self, item: BlockPart) -> None:
        place = 1 + item.block * self.parts + item.part
        hashes = np.sort(join.gather(self.distinct, place, np.dtype("<u8")))
        edges, pairs = span_pairs(hashes, close_pairs(hashes, item.block, self.max_distance))
        commit_file(
            self.output(item),
            lambda sink: join.write_runs(sink, join.whole(edges.ravel())),
            Written(len(edges), {"pairs": pairs}),
        )
        progress.advance(1)


@dataclass(frozen=True, slots=True)
class JoinClusters:
    """All pairs into clusters; what there is to say of them stands in the record's counts."""

    folder: str
    distinct: tuple[Output, ...]
    pairs: tuple[Output, ...]

    def output(self, item: int) -> Output:
        return item_output(self.folder, "clusters", item, [output.name for output in self.pairs])

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        hashes, roots = self._connect()
        table, repeated = self._read_tables(hashes)
        members = find_keepers(table, roots)
        buckets = len(self.distinct)
        run = join.sort_into(members, spread_hashes(members["hash"], buckets), buckets)
        commit_file(
            self.output(item),
            lambda sink: join.write_runs(sink, run),
            Written(len(members), self._describe(table, roots, repeated)),
        )
        progress.advance(1)

    def _connect(self) -> tuple[Hashes, Hashes]:
        """Every hash that has a near neighbour, in order, and the smallest of its cluster."""
        parts = [join.read_slice(output, 0, np.dtype("<u8")) for output in self.pairs]
        edges = np.concatenate([np.empty(0, np.uint64), *parts]).reshape(-1, 2)
        hashes, places = np.unique(edges, return_inverse=True)
        places = places.reshape(-1, 2)
        parents = np.arange(len(hashes))
        connect(parents, places[:, 0], places[:, 1])
        return hashes, hashes[parents]

    def _read_tables(self, hashes: Hashes) -> tuple[npt.NDArray[np.void], npt.NDArray[Any]]:
        """The collapsed records of `hashes`, and the sizes of clusters of one hash."""
        found, repeated = [np.empty(0, HASH)], [np.empty(0, np.uint32)]
        for output in self.distinct:
            table = join.read_slice(output, 0, HASH)
            near = np.isin(table["hash"], hashes, assume_unique=True)
            found.append(table[near])
            repeated.append(table["rows"][~near & (table["rows"] > 1)])
        together = np.concatenate(found)
        return together[np.argsort(together["hash"])], np.concatenate(repeated)

    def _describe(
        self, table: npt.NDArray[np.void], roots: Hashes, repeated: npt.NDArray[Any]
    ) -> dict[str, int]:
        names, which = np.unique(roots, return_inverse=True)
        sizes = np.bincount(which, table["rows"], len(names)).astype(np.int64)
        largest = int(max(sizes.max(initial=0), repeated.max(initial=0)))
        widest = [
            self._measure(table["hash"][which == number])
            for number in np.flatnonzero(sizes == largest)[:1].tolist()
        ]
        return {
            "clusters": len(names) + len(repeated),
            "largest": largest,
            "diameter_of_largest": max(widest, default=0),
            "pairs": sum(require_record(output).counts["pairs"] for output in self.pairs),
        }

    def _measure(self, hashes: Hashes) -> int:
        """The most bits in which two hashes differ; of very many, of an even sample of them."""
        return greatest_distance(hashes[:: -(-len(hashes) // EXACT_DIAMETER_HASHES)])


@dataclass(frozen=True, slots=True)
class AnswerUnits:
    """One bucket's hashes that are in a cluster, told to the units that have them."""

    folder: str
    hashes: tuple[Output, ...]
    distinct: tuple[Output, ...]
    clusters: Output

    def output(self, item: int) -> Output:
        return item_output(self.folder, "near", item, [self.clusters.name])

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        members = self._list_members(item)
        asked = join.gather(self.hashes, item, HASH)
        found, places = find_hashes(members, asked["hash"])
        asked, answers = asked[found], members[places]
        run = join.sort_into(answers, asked["unit"].astype(np.int64), len(self.hashes))
        commit_file(
            self.output(item), lambda sink: join.write_runs(sink, run), Written(len(answers))
        )
        progress.advance(1)

    def _list_members(self, item: int) -> Members:
        """Members of all clusters of two rows and more, in the order of their hashes."""
        joined = join.read_slice(self.clusters, item, MEMBER)
        table = join.read_slice(self.distinct[item], 0, HASH)
        alone = table[~np.isin(table["hash"], joined["hash"]) & (table["rows"] > 1)]
        members = np.concatenate([joined, find_keepers(alone, alone["hash"])])
        return members[np.argsort(members["hash"])]


@dataclass(frozen=True, slots=True)
class Clustered:
    """Rows of a unit that are in a cluster of two rows or more."""

    rows: npt.NDArray[np.int64]
    members: Members
    """Of each row: its hash, its cluster and the cluster's keeper."""
    keepers: npt.NDArray[np.bool_]
    """True for the row that stands for its cluster."""

    @property
    def distances(self) -> npt.NDArray[np.uint8]:
        """Bits in which each row's hash differs from its keeper's."""
        differences: Hashes = self.members["hash"] ^ self.members["keeper"]
        return np.bitwise_count(differences)


@dataclass(frozen=True, slots=True)
class NearAnswers:
    """Where the join has put what it found."""

    clusters: Output
    """Its record's counts describe the clusters."""
    answers: tuple[Output, ...]
    """Per bucket: MEMBER records by unit, each hash of a unit that is in a cluster."""

    def read(self, unit: int, hashes: pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> Clustered:
        """What was found of the rows of a unit that took part.

        Args:
            hashes: of all rows of the unit.
        """
        rows = rows[hashes.is_valid().to_numpy()[rows]]
        members = np.sort(join.read_answers(self.answers, unit, MEMBER), order="hash")
        found, places = find_hashes(members, hashes.take(rows).to_numpy())
        rows, members = rows[found], members[places]
        keepers = (members["unit"] == unit) & (members["row"] == rows)
        return Clustered(rows, members, keepers)


def plan_near_duplicates(
    corpus: Corpus, units: Sequence[SignalUnit], max_distance: int
) -> tuple[tuple[Step, ...], NearAnswers]:
    """The steps that find clusters among the rows that take part, and their answers."""
    folder = corpus.folder
    buckets = join.choose_buckets(sum(unit.pairs.rows for unit in units))
    scatter = ScatterHashes(corpus, buckets)
    hashes = tuple(map(scatter.output, units))
    collapsing = CollapseBucket(folder, hashes, max_distance, parts=buckets)
    numbers = tuple(range(buckets))
    distinct = tuple(map(collapsing.output, numbers))
    find = FindPairs(folder, distinct, max_distance, parts=buckets)
    parts = tuple(
        BlockPart(block, part) for block in range(max_distance + 1) for part in range(buckets)
    )
    joining = JoinClusters(folder, distinct, tuple(map(find.output, parts)))
    answer = AnswerUnits(folder, hashes, distinct, joining.output(0))
    steps = (
        Step("Scatter Hashes", scatter, tuple(units)),
        Step("Collapse Hashes", collapsing, numbers),
        Step("Find Near Pairs", find, parts),
        Step("Join Clusters", joining, (0,)),
        Step("Answer Units", answer, numbers),
    )
    return steps, NearAnswers(joining.output(0), tuple(map(answer.output, numbers)))
