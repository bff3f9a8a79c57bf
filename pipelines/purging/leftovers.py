"""The last traces of what was purged: in files that no manifest names."""

from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.checking.inventory import FOREIGN, TEMPORARY, classify, list_files, take_inventory
from pipelines.commit import current_manifest, put_table
from pipelines.ledger import TOMBSTONED
from pipelines.lock import LOCK_NAME
from pipelines.progress import ProgressLine
from pipelines.purging.beside import thin_out
from pipelines.purging.burial import GRAVES, find_listed, find_rows
from pipelines.purging.tombstones import Tombstones
from tokens.manifest import join_url, read_table

TOLD = ("pair_id", "outcome", "reason")
"""Columns that say which pairs a table holds, and which of them are buried in it."""


def clear_leftovers(directory: str, gone: Tombstones) -> int:
    """Take what is gone out of every file that no manifest names; returns how many were removed.

    Temporary files and those of interrupted stages go whole, and so do files of earlier generations
    that hold some of it; out of a list of pairs beside a stage's files only its rows are taken.
    """
    strays = list(_list_strays(directory))
    removed = 0
    with ProgressLine("Clear Leftovers", len(strays)) as line:
        for folder, name, kind in strays:
            url = join_url(*filter(None, (directory, folder, name)))
            if kind == TEMPORARY or (name.endswith(".parquet") and _holds(folder, url, kind, gone)):
                if kind == FOREIGN and (thinned := thin_out(url, gone)) is not None:
                    put_table(url, thinned)
                else:
                    removed += 1
                    _remove(url)
            line.advance(1)
    return removed


def find_remains(directory: str, gone: Tombstones) -> list[str]:
    """URLs of files, among those that manifests name, that still hold some of what is gone."""
    remains = []
    for folder, grave in GRAVES.items():
        url = join_url(directory, folder)
        manifest = current_manifest(url)
        for entry in () if manifest is None else manifest.files:
            if grave.find(read_table(url, entry, grave.columns), gone).any():
                remains.append(join_url(url, entry.name))
    return remains


def _list_strays(directory: str) -> Iterator[tuple[str, str, str]]:
    """Folder, name and kind of every file that no current manifest names."""
    nothing: frozenset[str] = frozenset()
    for name in _list_names(directory):
        mine = name.startswith(f".{LOCK_NAME}.")  # our own lock is being renewed
        if not mine and classify(name, nothing, nothing) == TEMPORARY:
            yield "", name, TEMPORARY
    for folder in GRAVES:
        url = join_url(directory, folder)
        inventory = take_inventory(url)
        if inventory is not None:
            root = url.rstrip("/") + "/"
            for stray in inventory.strays:
                yield folder, stray.url.removeprefix(root), stray.kind
        else:
            for name in sorted(list_files(url)):
                if (kind := classify(name, nothing, nothing)) is not None:
                    yield folder, name, kind


def _list_names(directory: str) -> list[str]:
    """Names of the files beside the stages' folders: of a page, say, that was being written."""
    filesystem, path = fsspec.url_to_fs(directory)
    return sorted(
        one["name"].rstrip("/").rpartition("/")[2]
        for one in filesystem.ls(path, detail=True)
        if one["type"] == "file"
    )


def _holds(folder: str, url: str, kind: str, gone: Tombstones) -> bool:
    """A table holds a pair that is gone; one of ours that cannot be read may."""
    try:
        table = _read(url, None if folder == "rows" else TOLD)
    except (pa.ArrowException, OSError):
        return kind != FOREIGN
    names = set(table.column_names)
    if folder == "rows":
        return names >= {"url", "caption", "outcome"} and bool(find_rows(table, gone).any())
    if "pair_id" not in names:
        return False
    mask = find_listed(table, gone)
    for name in names & {"outcome", "reason"}:
        mask &= pc.not_equal(table[name], TOMBSTONED).to_numpy()
    return bool(mask.any())


def _read(url: str, columns: tuple[str, ...] | None = None) -> pa.Table:
    """Those of the columns that a table has."""
    filesystem, path = fsspec.url_to_fs(url)
    with filesystem.open(path, "rb") as opened:
        file = pq.ParquetFile(opened)
        there = file.schema_arrow.names
        return file.read(None if columns is None else [n for n in columns if n in there])


def _remove(url: str) -> None:
    """Remove a file and its record: the record first, for without the file nobody would miss it."""
    filesystem, path = fsspec.url_to_fs(url)
    for one in (path + ".json", path):
        if filesystem.exists(one):
            filesystem.rm_file(one)
