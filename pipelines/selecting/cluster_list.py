"""`decisions/clusters.parquet`: every row that looks like another, for people and the report.

A row for each pair that is in a cluster of two or more, in input order: `cluster` (the cluster's
smallest hash, as a signed number), `unit` and `row` (its place in `pairs/`), `pair_id`,
`distance_to_keeper` (bits) and `kept` (it stands for its cluster).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import progress
from pipelines.commit import Output, Written, commit_file, require_record, write_all
from pipelines.selecting.candidates import Corpus, SignalUnit, item_output
from pipelines.selecting.listing import Listing
from pipelines.selecting.near_duplicates import NearAnswers
from pipelines.steps import Step

FILE_NAME = "clusters.parquet"

CLUSTERS_SCHEMA = pa.schema(
    [
        pa.field("cluster", pa.int64(), nullable=False),
        pa.field("unit", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("pair_id", pa.binary(16), nullable=False),
        pa.field("distance_to_keeper", pa.uint8(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class ListClusters:
    """The list, one unit at a time. The item is all units."""

    corpus: Corpus
    near: NearAnswers

    def output(self, item: tuple[SignalUnit, ...]) -> Output:
        return item_output(self.corpus.folder, "clusters-list", 0, [self.near.clusters.name])

    def rows(self, item: tuple[SignalUnit, ...]) -> int:
        return 1

    def __call__(self, item: tuple[SignalUnit, ...]) -> None:
        commit_file(self.output(item), lambda sink: self._write(sink, item), Written(0))
        progress.advance(1)

    def _write(self, sink: IO[bytes], units: tuple[SignalUnit, ...]) -> None:
        with pq.ParquetWriter(sink, CLUSTERS_SCHEMA, write_page_checksum=True) as writer:
            for table in self._read(units):
                writer.write_table(table)

    def _read(self, units: tuple[SignalUnit, ...]) -> Iterator[pa.Table]:
        for unit in units:
            hashes = self.corpus.read_signals(unit, "phash")["phash"]
            found = self.near.read(unit.index, hashes, self.corpus.read_rows(unit.index))
            if len(found.rows):
                pair_ids = self.corpus.read_pairs(unit, "pair_id")["pair_id"].take(found.rows)
                columns = [
                    pa.array(found.members["cluster"].astype(np.uint64).view(np.int64)),
                    pa.array(np.full(len(found.rows), unit.index, np.int32)),
                    pa.array(found.rows),
                    pair_ids,
                    pa.array(found.distances),
                    pa.array(found.keepers),
                ]
                yield pa.table(columns, schema=CLUSTERS_SCHEMA)


@dataclass(frozen=True, slots=True)
class DescribeClusters:
    """What the manifest's details say of clusters, as JSON. The item is the greatest distance."""

    folder: str
    clusters: Output

    def output(self, item: int) -> Output:
        return item_output(self.folder, "clusters-facts", item, [self.clusters.name])

    def rows(self, item: int) -> int:
        return 1

    def __call__(self, item: int) -> None:
        counts = require_record(self.clusters).counts
        facts = {"near_duplicates": {"max_distance": item} | counts}
        text = json.dumps(facts, sort_keys=True).encode()
        commit_file(self.output(item), lambda sink: write_all(sink, text), Written(0))
        progress.advance(1)


def plan_cluster_list(
    corpus: Corpus, units: tuple[SignalUnit, ...], near: NearAnswers, max_distance: int
) -> Listing:
    """List clusters in a file, and describe them in the manifest."""
    listing, describe = ListClusters(corpus, near), DescribeClusters(corpus.folder, near.clusters)
    return Listing(
        (
            Step("Tell Clusters", listing, (units,)),
            Step("Describe Clusters", describe, (max_distance,)),
        ),
        beside=((listing.output(units).url, FILE_NAME),),
        facts=(describe.output(max_distance).url,),
    )
