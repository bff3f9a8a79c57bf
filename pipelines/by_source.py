"""Counts for each source: a unit's rows come from one, and the rows manifest says which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.ledger import add_counts
from tokens.manifest import FileEntry, Manifest


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """One source's rows, by what became of them in a later stage."""

    name: str
    license: str
    rows: int
    counts: dict[str, int]
    """Rows per outcome."""


def count_by_source(rows: Manifest, decided: Manifest) -> tuple[SourceCounts, ...]:
    """The sources of a build in order; none where its rows were cut before sources had names.

    Args:
        rows: of the input rows, whose details name the sources and their units.
        decided: of fetch or select, whose units have the same numbers.
    """
    sources: Sequence[dict[str, Any]] = rows.details.get("sources", ())
    return tuple(
        SourceCounts(
            source["name"],
            source["license"] or "",
            source["rows"],
            add_counts(_units(decided.files, source["first_unit"], source["units"])),
        )
        for source in sources
    )


def _units(entries: Sequence[FileEntry], first: int, number: int) -> list[FileEntry]:
    return [entry for entry in entries if first <= entry.index < first + number]
