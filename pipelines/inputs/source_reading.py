"""A source of any format to its rows, and to the hash that stands for it."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import fsspec
import pyarrow as pa

from pipelines.inputs.img2dataset_folder import hash_folder, read_folder
from pipelines.inputs.picture_folder import add_picture, hash_picture_folder, read_picture_folder
from pipelines.inputs.source import Row, Source
from pipelines.inputs.source_tables import read_delimited, read_jsonl, read_parquet
from pipelines.inputs.webdataset import read_webdataset

READERS: dict[str, Callable[[Source], Iterator[Row]]] = {
    "img2dataset": read_folder,
    "pictures": read_picture_folder,
    "webdataset": read_webdataset,
}
"""Of folders and of files that are no tables."""
TABLE_READERS = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}


def read_rows(source: Source) -> Iterator[Row]:
    """Each row, in order; those that name no licence have the source's.

    Raises:
        ValueError: the table, tar or folder cannot be read, or has no such column; names the place.
    """
    rows = READERS.get(source.format, _read_table)(source)
    if source.license is None:
        yield from rows
        return
    for row in rows:
        yield row if row.license and row.license.strip() else row._replace(license=source.license)


def _read_table(source: Source) -> Iterator[Row]:
    try:
        with _open(source.url) as file:
            yield from TABLE_READERS[source.format](file, source)
    except FAULTS as err:
        raise ValueError(f"{source.url} cannot be read as {source.format}: {err}") from err


@contextmanager
def _open(url: str) -> Iterator[IO[bytes]]:
    """A file, unpacked by its ending."""
    filesystem, path = fsspec.url_to_fs(url)
    if not path.endswith(".zst"):
        with filesystem.open(path, "rb", compression="infer") as file:
            yield file
        return
    # fsspec's way would take the first of several frames, or half a one, for the whole.
    with filesystem.open(path, "rb") as packed:
        unpacked = pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")
        yield io.BufferedReader(unpacked)


FAULTS = (pa.ArrowException, csv.Error, EOFError, OSError, UnicodeDecodeError)
"""What a file raises that holds something else than its name says."""


def hash_source(source: Source) -> str:
    """SHA-256 of the file or folder as it stands; raises FileNotFoundError with the name."""
    if source.is_folder:
        hash_any = hash_folder if source.format == "img2dataset" else hash_picture_folder
        return hash_any(source.url)
    digest = _hash_file(source.url)
    _add_named_pictures(digest, source)
    return digest.hexdigest()


def _hash_file(url: str) -> "hashlib._Hash":
    filesystem, path = fsspec.url_to_fs(url)
    if not filesystem.isfile(path):
        raise FileNotFoundError(
            f"{url} is not there: --input takes a file, a folder of pictures or an img2dataset "
            "folder that exists"
        )
    with filesystem.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256")


def _add_named_pictures(digest: "hashlib._Hash", source: Source) -> None:
    """Where a table names the pictures' files, they are a part of what is read."""
    if source.columns.image is None:
        return
    folder = source.folder
    for row in read_rows(source):
        kind, _, name = (row.member or "").partition(":")
        if kind == "file":
            add_picture(digest, folder, name)
