"""Which pairs two builds decide otherwise: a join of their decisions by `pair_id`.

The decisions are read in passes, each of which takes the pairs whose hash falls to it, so that two
corpora of any size are compared in the memory of one pass.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.progress import ProgressLine
from tokens.manifest import FileEntry, Manifest, read_table

PASS_ROWS = 8_000_000
"""Rows of the larger side that one pass joins: about 1 GB."""
REPEATED = "duplicate_pair"
"""A later row of a pair; the first one says what became of it."""

PAIR_CHANGES_SCHEMA = pa.schema(
    [
        pa.field("pair_id", pa.binary(16), nullable=False),
        pa.field("reason_a", pa.string()),
        pa.field("reason_b", pa.string()),
    ]
)
"""A reason is null where that side does not have the pair."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions of one side."""

    folder: str
    manifest: Manifest


def pair_changes(a: Decided, b: Decided, pass_rows: int = PASS_ROWS) -> Iterator[pa.Table]:
    """Every pair of either side with its reason there, in the schema above, pass by pass."""
    passes = max(1, -(-max(a.manifest.rows, b.manifest.rows) // pass_rows))
    files = len(a.manifest.files) + len(b.manifest.files)
    with ProgressLine("Compare Pairs", passes * files) as line:
        for number in range(passes):
            left, right = (_read_share(side, number, passes, line) for side in (a, b))
            joined = left.join(
                right, "pair_id", join_type="full outer", left_suffix="_a", right_suffix="_b"
            )
            yield joined.select(PAIR_CHANGES_SCHEMA.names).cast(PAIR_CHANGES_SCHEMA)


def count_changes(changes: pa.Table) -> Counter[tuple[str | None, str | None]]:
    """Pairs per (reason in A, reason in B)."""
    names = ["reason_a", "reason_b"]
    grouped = changes.group_by(names, use_threads=False).aggregate([([], "count_all")])
    columns = (grouped[name].to_pylist() for name in (*names, "count_all"))
    return Counter({(a, b): rows for a, b, rows in zip(*columns, strict=True)})


def only_changed(changes: pa.Table) -> pa.Table:
    """The pairs whose reason differs, or that one side lacks, by `pair_id`."""
    same = pc.fill_null(pc.equal(changes["reason_a"], changes["reason_b"]), False)
    return changes.filter(pc.invert(same)).sort_by("pair_id")


def _read_share(side: Decided, number: int, passes: int, line: ProgressLine) -> pa.Table:
    shares = []
    for entry in side.manifest.files:
        shares.append(_share(_read_reasons(side.folder, entry), number, passes))
        line.advance(1)
    return pa.concat_tables(shares) if shares else _EMPTY


_EMPTY = pa.table({"pair_id": pa.array([], pa.binary(16)), "reason": pa.array([], pa.string())})


def _read_reasons(folder: str, entry: FileEntry) -> pa.Table:
    table = read_table(folder, entry, ("pair_id", "reason"))
    return table.filter(pc.not_equal(table["reason"], REPEATED))


def _share(table: pa.Table, number: int, passes: int) -> pa.Table:
    """The rows whose `pair_id`, a hash already, falls to this pass."""
    if passes == 1:
        return table
    ids = table["pair_id"].combine_chunks()
    words = np.frombuffer(ids.buffers()[1], "<u8", 2 * len(ids), 16 * ids.offset)
    return table.filter(pa.array(words[::2] % passes == number))
