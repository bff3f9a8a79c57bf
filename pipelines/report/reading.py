"""Columns of committed files, as far as a file has them: an older build has fewer."""

from collections.abc import Collection

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from tokens.manifest import FileEntry, join_url, read_table


def read_some(folder: str, entry: FileEntry, columns: Collection[str]) -> pa.Table:
    """Those of the columns that the file has, in the file's order."""
    filesystem, path = fsspec.url_to_fs(join_url(folder, entry.name))
    with filesystem.open(path, "rb") as file:
        there = pq.read_schema(file).names
    return read_table(folder, entry, [name for name in there if name in columns])


def read_beside(directory: str, name: str) -> pa.Table | None:
    """A table beside the decisions; None where there is none."""
    filesystem, path = fsspec.url_to_fs(join_url(directory, "decisions", name))
    if not filesystem.exists(path):
        return None
    with filesystem.open(path, "rb") as file:
        return pq.read_table(file)
