"""What becomes of a row that is taken down, table by table: its place stays, and its `pair_id`.

A row of the books keeps its place with the outcome `tombstoned`, and loses all that was known of
it. A row of a token shard is taken out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger import TOMBSTONED
from pipelines.pairs import make_pair_id
from pipelines.purging.tombstones import Mark, Tombstones, mark_pair, marks_of_url

Mask = npt.NDArray[np.bool_]
"""Per row: it is to be taken down."""


def bury(table: pa.Table, mask: Mask, said: Mapping[str, Any], kept: Iterable[str]) -> pa.Table:
    """The table with its masked rows emptied.

    Args:
        said: what a column says of a buried row.
        kept: columns whose values stay.

    Any other column says nothing: null, or an empty text where it cannot be null.
    """
    for index, field in enumerate(table.schema):
        if field.name not in kept:
            empty = "" if pa.types.is_string(field.type) and not field.nullable else None
            value = pa.scalar(said.get(field.name, empty), field.type)
            filled = pc.if_else(pa.array(mask), value, table.column(index))
            table = table.set_column(index, field, filled)
    return table


def pair_ids_of_rows(rows: pa.Table) -> list[bytes]:
    """The `pair_id` of rows in ROWS_SCHEMA, taken down or not."""
    urls, captions = (column.to_pylist() for column in (rows["url"], rows["caption"]))
    known = rows["pair_id"].to_pylist() if "pair_id" in rows.column_names else [None] * len(rows)
    return [
        pair_id or make_pair_id(url or "", caption or "")
        for pair_id, url, caption in zip(known, urls, captions, strict=True)
    ]


def find_rows(rows: pa.Table, gone: Tombstones) -> Mask:
    """Rows in ROWS_SCHEMA that are gone by pair, URL or host, and not yet buried."""
    return np.array([bool(marks) for marks in match_rows(rows, gone)], bool)


def match_rows(rows: pa.Table, gone: Tombstones) -> list[list[Mark]]:
    """Per row the marks by which it is gone; none of a row that is buried already."""
    if not gone:
        return [[] for _ in range(len(rows))]
    asked = zip(
        rows["outcome"].to_pylist(), pair_ids_of_rows(rows), rows["url"].to_pylist(), strict=True
    )
    return [
        []
        if outcome == TOMBSTONED
        else [mark for mark in (mark_pair(pair_id), *marks_of_url(url or "")) if mark in gone.marks]
        for outcome, pair_id, url in asked
    ]


def bury_rows(rows: pa.Table, mask: Mask) -> pa.Table:
    """Rows in ROWS_SCHEMA, the masked ones buried."""
    if not mask.any():
        return rows
    pair_ids = pa.array(pair_ids_of_rows(rows), pa.binary(16))
    rows = add_pair_id(rows)
    buried = bury(
        rows, mask, {"outcome": TOMBSTONED, "invalid_utf8": False}, ("source", "row", "pair_id")
    )
    index = buried.schema.get_field_index("pair_id")
    named = pc.if_else(pa.array(mask), pair_ids, buried["pair_id"])
    return buried.set_column(index, buried.schema.field(index), named)


def add_pair_id(rows: pa.Table) -> pa.Table:
    """Rows that were cut before rows had a `pair_id`, with one."""
    if "pair_id" in rows.column_names:
        return rows
    return rows.append_column("pair_id", pa.nulls(len(rows), pa.binary(16)))


def _are_gone(table: pa.Table, gone: Tombstones) -> Mask:
    listed = pa.array(gone.pair_ids, pa.binary(16))
    mask: Mask = pc.is_in(table["pair_id"], value_set=listed).to_numpy(zero_copy_only=False)
    return mask


def _are_not(table: pa.Table, column: str, value: str) -> Mask:
    mask: Mask = pc.not_equal(table[column], value).to_numpy(zero_copy_only=False)
    return mask


def find_pairs(pairs: pa.Table, gone: Tombstones) -> Mask:
    """Rows in PAIRS_SCHEMA whose pair is gone and that are not yet buried."""
    return _are_gone(pairs, gone) & _are_not(pairs, "outcome", TOMBSTONED)


def bury_pairs(pairs: pa.Table, mask: Mask) -> pa.Table:
    return bury(pairs, mask, {"outcome": TOMBSTONED}, ("source", "row", "pair_id"))


def find_signals(signals: pa.Table, gone: Tombstones) -> Mask:
    """Rows whose pair is gone and of which a column still says something."""
    told = np.zeros(len(signals), bool)
    for name in signals.column_names:
        if name != "pair_id":
            told |= signals[name].is_valid().to_numpy(zero_copy_only=False)
    return _are_gone(signals, gone) & told


def bury_signals(signals: pa.Table, mask: Mask) -> pa.Table:
    return bury(signals, mask, {}, ("pair_id",))


def find_decisions(decisions: pa.Table, gone: Tombstones) -> Mask:
    """Rows whose pair is gone and that are not yet decided so."""
    return _are_gone(decisions, gone) & _are_not(decisions, "reason", TOMBSTONED)


def bury_decisions(decisions: pa.Table, mask: Mask) -> pa.Table:
    return bury(decisions, mask, {"reason": TOMBSTONED}, ("pair_id",))


def find_listed(table: pa.Table, gone: Tombstones) -> Mask:
    """Rows of a token shard, or of a list of pairs, whose pair is gone."""
    return _are_gone(table, gone)


def take_out(table: pa.Table, mask: Mask) -> pa.Table:
    """The other rows, in their order."""
    return table.filter(pa.array(~mask))


@dataclass(frozen=True, slots=True)
class Grave:
    """How rows of one stage's tables are found and buried."""

    columns: tuple[str, ...] | None
    """What `find` has to read to say that a file may hold some; None: all."""
    find: Callable[[pa.Table, Tombstones], Mask]
    bury: Callable[[pa.Table, Mask], pa.Table]


GRAVES: Mapping[str, Grave] = {
    "rows": Grave(None, find_rows, bury_rows),
    "pairs": Grave(("pair_id", "outcome"), find_pairs, bury_pairs),
    "signals": Grave(None, find_signals, bury_signals),
    "decisions": Grave(("pair_id", "reason"), find_decisions, bury_decisions),
    "tokens": Grave(("pair_id",), find_listed, take_out),
}
"""By the stage's folder."""
