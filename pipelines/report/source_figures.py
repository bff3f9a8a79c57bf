"""The funnel of each source: rows read, why they were dropped, pairs kept, tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.by_source import list_units
from pipelines.ledger import OK, add_counts
from tokens.manifest import KEPT, Manifest

TRAIN = "train"


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """One source's share of the corpus; None for what is not built."""

    name: str
    license: str
    caption: str
    """What its captions are: title, description, alt text."""
    dialect: str
    read: int
    fetched: int
    dropped: dict[str, int]
    """Rows per reason."""
    kept: int | None
    tokens: int | None


def list_sources(
    read: Manifest | None,
    pairs: Manifest,
    decisions: Manifest | None,
    tokens: Manifest | None,
    tokens_per_row: int,
) -> tuple[SourceFigures, ...]:
    """The sources that the rows' manifest tells of, in order; none in a build older than that."""
    told = read.details.get("sources", ()) if read else ()
    views = tokens.details.get("views") if tokens else None
    return tuple(
        _count_source(source, pairs, decisions, views and views * tokens_per_row, tokens_per_row)
        for source in told
    )


def _count_source(
    source: Mapping[str, Any],
    pairs: Manifest,
    decisions: Manifest | None,
    tokens_per_training_pair: int | None,
    tokens_per_row: int,
) -> SourceFigures:
    fetched = add_counts(list_units(source, pairs))
    decided = list_units(source, decisions) if decisions else []
    counts = add_counts(decided) if decisions else fetched
    kept = counts.get(KEPT, 0) if decisions else None
    train = sum(entry.splits.get(TRAIN, 0) for entry in decided)
    return SourceFigures(
        name=str(source.get("name", "")),
        license=str(source.get("license") or ""),
        caption=str(source.get("caption") or ""),
        dialect=str(source.get("dialect") or ""),
        read=int(source.get("rows", 0)),
        fetched=fetched.get(OK, 0),
        dropped={reason: rows for reason, rows in counts.items() if reason not in (OK, KEPT)},
        kept=kept,
        tokens=None
        if tokens_per_training_pair is None or kept is None
        else train * tokens_per_training_pair + (kept - train) * tokens_per_row,
    )
