"""Counts for each source: a unit's rows come from one, and the rows manifest says which."""

from collections.abc import Mapping, Sequence
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
            add_counts(list_units(source, decided)),
        )
        for source in sources
    )


def list_units(source: Mapping[str, Any], stage: Manifest) -> list[FileEntry]:
    """The files of a stage that hold a source's rows; `source` is as the rows manifest has it."""
    units = range(source["first_unit"], source["first_unit"] + source["units"])
    return [entry for entry in stage.files if entry.index in units]
