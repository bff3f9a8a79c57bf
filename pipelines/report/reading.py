"""Columns of committed files, as far as a file has them: an older build has fewer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from tokens.manifest import FileEntry, join_url, read_table

EMPTY: Mapping[str, Collection[Any]] = {}


def read_some(folder: str, entry: FileEntry, columns: Collection[str]) -> pa.Table:
    """Those of the columns that the file has, in the file's order."""
    filesystem, path = fsspec.url_to_fs(join_url(folder, entry.name))
    with filesystem.open(path, "rb") as file:
        there = pq.read_schema(file).names
    return read_table(folder, entry, [name for name in there if name in columns])


def read_beside(
    directory: str, name: str, columns: Sequence[str], among: Mapping[str, Collection[Any]] = EMPTY
) -> pa.Table | None:
    """Columns of a table beside the decisions; None where there is none.

    Args:
        among: columns, and the values of which a row must have one.
    """
    filesystem, path = fsspec.url_to_fs(join_url(directory, "decisions", name))
    if not filesystem.exists(path):
        return None
    with filesystem.open(path, "rb") as file:
        filters = [(column, "in", list(values)) for column, values in among.items()]
        return pq.read_table(file, columns=list(columns), filters=filters or None)
