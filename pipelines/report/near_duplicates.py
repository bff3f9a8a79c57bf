"""Clusters of pictures that look almost the same: how many, and the largest ones to look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.report.examples import Example, Place, load_rows, make_example
from pipelines.report.reading import read_beside
from tokens.manifest import Manifest, join_url, read_table

FILE_NAME = "clusters.parquet"
COLUMNS = ("cluster", "unit", "row", "pair_id", "distance_to_keeper", "kept")
CLUSTERS_SHOWN = 8
MEMBERS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Member:
    """One picture of a cluster."""

    example: Example
    distance: int
    """Bits of the perceptual hash in which it differs from the keeper's."""
    kept: bool
    """It is the keeper, which stands for the others."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pictures of which one is kept."""

    rows: int
    members: tuple[Member, ...]
    """The keeper first, then the nearest to it."""


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What select has found of them."""

    figures: Mapping[str, Any]
    """The manifest's own: max_distance, clusters, largest, diameter_of_largest, pairs."""
    largest: tuple[Cluster, ...]


def show_near_duplicates(
    directory: str, pairs: Manifest, decisions: Manifest
) -> NearDuplicates | None:
    """None where the recipe did not look for them."""
    figures = decisions.details.get("near_duplicates")
    if figures is None:
        return None
    return NearDuplicates(figures, load_clusters(directory, pairs))


def load_clusters(directory: str, pairs: Manifest) -> tuple[Cluster, ...]:
    """The largest clusters, each with a few of its pictures; no other is held whole."""
    numbers = read_beside(directory, FILE_NAME, ("cluster",))
    if not numbers:
        return ()
    largest = find_largest(numbers["cluster"])
    wanted = {"cluster": [cluster for cluster, _ in largest]}
    table = read_beside(directory, FILE_NAME, COLUMNS, wanted)
    assert table is not None, FILE_NAME
    chosen = {cluster: choose_members(table, cluster) for cluster, _ in largest}
    members = [member for few in chosen.values() for member in few]
    examples = load_pairs(directory, pairs, members)
    return tuple(
        Cluster(rows, tuple(make_member(member, examples) for member in chosen[cluster]))
        for cluster, rows in largest
    )


def find_largest(clusters: pa.ChunkedArray) -> list[tuple[int, int]]:
    """The numbers of the largest clusters and how many rows they have."""
    counted = pc.value_counts(clusters.combine_chunks())
    sizes = [(item["values"], item["counts"]) for item in counted.to_pylist()]
    return sorted(sizes, key=lambda pair: (-pair[1], pair[0]))[:CLUSTERS_SHOWN]


def choose_members(table: pa.Table, cluster: int) -> list[dict[str, Any]]:
    """The keeper, then the nearest to it, in input order where the distance is the same."""
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["cluster"], cluster)).to_pylist()
    rows.sort(key=lambda r: (not r["kept"], r["distance_to_keeper"], r["unit"], r["row"]))
    return rows[:MEMBERS_SHOWN]


def make_member(row: Mapping[str, Any], examples: Mapping[bytes, Example]) -> Member:
    return Member(examples[row["pair_id"]], row["distance_to_keeper"], row["kept"])


def load_pairs(
    directory: str, pairs: Manifest, rows: Iterable[Mapping[str, Any]]
) -> dict[bytes, Example]:
    """Pairs, ready to be shown, by pair_id.

    Args:
        rows: each has the number of its unit and its pair_id.
    """
    wanted: dict[int, set[bytes]] = {}
    for row in rows:
        wanted.setdefault(row["unit"], set()).add(row["pair_id"])
    places: dict[bytes, Place] = {}
    for entry in pairs.files:
        if entry.index in wanted:
            ids = read_table(join_url(directory, "pairs"), entry, ("pair_id",))["pair_id"]
            for number, pair_id in enumerate(ids.to_pylist()):
                if pair_id in wanted[entry.index]:
                    places.setdefault(pair_id, Place(0.0, entry.index, number))
    loaded = load_rows(directory, pairs, places.values())
    return {pair_id: make_example(loaded[place]) for pair_id, place in places.items()}
