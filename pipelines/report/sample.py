"""A sample of the fetched rows: what distributions, tables and sliders are taken over.

Nothing here reads a whole corpus. Units are drawn by a hash of their names until they hold enough
rows, and of those the first in a keyed order are taken: the same ones whenever the files are.
"""

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger import FETCH_OUTCOMES
from pipelines.report.reading import read_some
from tokens.draw import keyed_uniform
from tokens.manifest import FileEntry, Manifest, join_url

SAMPLE_ROWS = 2_000
"""A share that is measured on so many rows is within 2.2 points of the true one, 19 times of 20."""
LEAST_UNITS = 16
ROWS_OPENED = 4 * SAMPLE_ROWS
"""Units are drawn until there are so many of them and they hold so many rows, or all are."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Fetched rows, what was measured of them, and how they ended."""

    signals: pa.RecordBatch
    reasons: npt.NDArray[Any]
    """Per row `kept`, or why it was dropped."""
    fetched: int
    """Rows that the sample stands for."""

    @property
    def rows(self) -> int:
        return len(self.reasons)

    @property
    def columns(self) -> Collection[str]:
        return tuple(self.signals.schema.names)


def draw_sample(
    directory: str,
    manifests: Mapping[str, Manifest],
    columns: Collection[str],
    most_rows: int = SAMPLE_ROWS,
) -> Sample | None:
    """Fetched rows with those of the columns that score or select wrote; None before select."""
    if not {"score", "select"} <= set(manifests):
        return None
    signals = {entry.index: entry for entry in manifests["score"].files}
    tables = [
        _read_unit(directory, signals[entry.index], entry, columns)
        for entry in _draw_units(manifests["select"].files)
    ]
    if not tables:
        return None
    table = _take_first(pa.concat_tables(tables), most_rows).combine_chunks()
    return Sample(
        signals=_one_batch(table.drop_columns(["pair_id", "reason"])),
        reasons=np.array(table["reason"].to_pylist(), object),
        fetched=sum(
            rows
            for reason, rows in manifests["select"].counts.items()
            if reason not in FETCH_OUTCOMES
        ),
    )


def _draw_units(entries: Collection[FileEntry]) -> list[FileEntry]:
    """The units to open, in input order."""
    drawn: list[FileEntry] = []
    for entry in sorted(entries, key=lambda e: keyed_uniform(e.name.encode(), "sample")):
        if len(drawn) >= LEAST_UNITS and sum(e.rows for e in drawn) >= ROWS_OPENED:
            break
        drawn.append(entry)
    return sorted(drawn, key=lambda entry: entry.index)


def _read_unit(
    directory: str, signals: FileEntry, decisions: FileEntry, columns: Collection[str]
) -> pa.Table:
    """A unit's fetched rows; what select has measured stands beside its decisions."""
    decided = read_some(join_url(directory, "decisions"), decisions, {"reason", *columns})
    measured = read_some(join_url(directory, "signals"), signals, {"pair_id", *columns})
    for name in decided.column_names:
        if name not in measured.column_names:
            measured = measured.append_column(name, decided[name])
    ended_in_fetch = pc.is_in(measured["reason"], pa.array(FETCH_OUTCOMES))
    return measured.filter(pc.invert(ended_in_fetch))


def _take_first(table: pa.Table, rows: int) -> pa.Table:
    """The first rows in the keyed order of their pairs, in the order of the files."""
    ranks = [keyed_uniform(pair_id, "sample") for pair_id in table["pair_id"].to_pylist()]
    first = heapq.nsmallest(rows, range(len(ranks)), key=ranks.__getitem__)
    return table.take(pa.array(sorted(first), pa.int64()))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table, of which there may be none."""
    columns = [column.combine_chunks() for column in table.columns]
    return pa.record_batch(columns, schema=table.schema)
