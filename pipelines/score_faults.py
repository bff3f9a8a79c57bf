"""A row that a signal cannot be measured of, for a fault of ours, costs that row and no other.

Its signals are null, and a column `failure`, which only a unit with such rows has, tells why;
select takes it for `internal_error`.
"""

from collections.abc import Callable

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.dead_letters import describe_fault
from tokens.manifest import FileEntry, join_url, read_table

FAILURE = "failure"


def score_each(
    pairs: pa.Table, score: Callable[[pa.Table], pa.Table], schema: pa.Schema
) -> pa.Table:
    """`score(pairs)`; where that raises, of each half by itself, down to the rows that do it.

    Args:
        schema: of what `score` returns; all but `pair_id` may be null.
    """
    try:
        return score(pairs)
    except Exception as error:  # whatever a stranger's picture or caption brings out
        if len(pairs) == 1:
            return _tell_failure(pairs["pair_id"], describe_fault(error), schema)
    middle = len(pairs) // 2
    halves = [score_each(half, score, schema) for half in (pairs[:middle], pairs[middle:])]
    return pa.concat_tables(halves, promote_options="default")


def _tell_failure(pair_id: pa.ChunkedArray, fault: str, schema: pa.Schema) -> pa.Table:
    nothing = {field.name: pa.nulls(1, field.type) for field in schema}
    table = pa.table(nothing | {"pair_id": pair_id}, schema=schema)
    return table.append_column(FAILURE, pa.array([fault]))


def find_faulty(folder: str, signals: FileEntry) -> npt.NDArray[np.bool_]:
    """Which rows of a committed unit of signals could not be measured."""
    with fsspec.open(join_url(folder, signals.name), "rb") as file:
        if FAILURE not in pq.read_schema(file).names:
            return np.zeros(signals.rows, bool)
    failures = read_table(folder, signals, (FAILURE,))[FAILURE]
    return np.asarray(failures.is_valid(), dtype=bool)
