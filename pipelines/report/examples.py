"""Rows to look at: a few of every reason, the same ones whenever the files are the same.

Nothing here reads a whole corpus. For each reason a few units are drawn that hold some of its
rows, which the manifest knows, and of those rows the first in a keyed order are shown.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.report.pictures import make_thumbnail
from pipelines.report.reading import read_some
from tokens.draw import keyed_uniform
from tokens.manifest import FileEntry, Manifest, join_url, read_table

EXAMPLES_PER_REASON = 12
UNITS_PER_REASON = 8
COLUMNS = ("pair_id", "url", "caption", "original_width", "original_height", "image", "signal")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a row stands: a unit of pairs and a row of it, behind its rank in the keyed order."""

    rank: float
    unit: int
    row: int


@dataclass(frozen=True, slots=True)
class Example:
    """One row, ready to be shown."""

    pair_id: str
    """Hex."""
    url: str
    caption: str
    width: int | None
    """Of the picture as it came, pixels; None where there is no picture."""
    height: int | None
    thumbnail: bytes
    """JPEG of at most THUMBNAIL_BYTES; empty where there is no picture."""
    signal: str = ""
    """What decided, where the reason alone does not say: a header, a rule, a server's words."""


def draw_places(directory: str, decided: Manifest) -> dict[str, list[Place]]:
    """Rows to show per reason (per fetch outcome before select), in the order to show them."""
    folder, column = reason_column(directory, decided)
    places: dict[str, list[Place]] = defaultdict(list)
    for entry, reasons in draw_units(decided):
        table = read_table(folder, entry, ("pair_id", column))
        for reason in reasons:
            places[reason] += rank_rows(table, column, reason, entry.index)
    return {reason: heapq.nsmallest(EXAMPLES_PER_REASON, places[reason]) for reason in places}


def reason_column(directory: str, decided: Manifest) -> tuple[str, str]:
    """The folder and column that say how each row ended."""
    if decided.stage == "select":
        return join_url(directory, "decisions"), "reason"
    return join_url(directory, "pairs"), "outcome"


def draw_units(decided: Manifest) -> list[tuple[FileEntry, list[str]]]:
    """The units to open, in order, each with the reasons that it is opened for."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for reason in sorted(decided.counts):
        for entry in draw_units_of(decided, reason):
            wanted[entry.name].append(reason)
    return [(entry, wanted[entry.name]) for entry in decided.files if entry.name in wanted]


def draw_units_of(decided: Manifest, reason: str) -> list[FileEntry]:
    """A few of the units that hold rows of one reason."""
    holders = (entry for entry in decided.files if entry.counts.get(reason))
    return heapq.nsmallest(
        UNITS_PER_REASON, holders, key=lambda e: keyed_uniform(e.name.encode(), "report")
    )


def rank_rows(table: pa.Table, column: str, reason: str, unit: int) -> list[Place]:
    """Every row of one reason in a unit, with its rank."""
    rows = np.flatnonzero(pc.equal(table[column], reason).to_numpy())
    pair_ids = table["pair_id"].take(pa.array(rows)).to_pylist()
    return [
        Place(keyed_uniform(pair_id, "report"), unit, int(row))
        for pair_id, row in zip(pair_ids, rows, strict=True)
    ]


def load_examples(
    directory: str, pairs: Manifest, places: Mapping[str, Sequence[Place]]
) -> dict[str, tuple[Example, ...]]:
    """The rows at the places, each unit read once."""
    rows = load_rows(directory, pairs, (place for chosen in places.values() for place in chosen))
    return {
        reason: tuple(make_example(rows[place]) for place in chosen)
        for reason, chosen in places.items()
    }


def load_rows(
    directory: str, pairs: Manifest, places: Iterable[Place]
) -> dict[Place, dict[str, Any]]:
    """Columns of the pairs at some places."""
    by_unit: dict[int, list[Place]] = defaultdict(list)
    for place in places:
        by_unit[place.unit].append(place)
    found: dict[Place, dict[str, Any]] = {}
    for entry in pairs.files:
        if wanted := by_unit.get(entry.index):
            table = read_some(join_url(directory, "pairs"), entry, COLUMNS)
            rows = table.take(pa.array([place.row for place in wanted])).to_pylist()
            found |= dict(zip(wanted, rows, strict=True))
    return found


def make_example(row: Mapping[str, Any]) -> Example:
    return Example(
        pair_id=row["pair_id"].hex(),
        url=row["url"],
        caption=row["caption"],
        width=row["original_width"],
        height=row["original_height"],
        thumbnail=make_thumbnail(row["image"]) if row["image"] else b"",
        signal=row.get("signal") or "",
    )
