"""Where the pictures of an evaluation set lie, and what they are.

A set is a folder of pictures; a table (CSV, TSV, JSON Lines, Parquet) with a column `path`, `url`,
`image` or `file_name` of paths or fsspec URLs; or Parquet, one file or a pattern of them, with a
column `image` of bytes, alone or in a struct beside `path` (as Hugging Face's datasets write it).
A build's own `pairs/*.parquet` are such files.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.commit import hash_file, make_digest
from pipelines.selecting.duplicate_sections import EvalSet
from tokens.manifest import join_url

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif")
WILD = re.compile(r"[*?\[]")
LOCATIONS = ("path", "url", "image", "file_name")
"""A table's columns that may say where a picture lies; the first that is there does."""

CHUNK_PICTURES = 500


@dataclass(frozen=True, slots=True)
class EvalChunk:
    """Some pictures of a set, in its order."""

    set: str
    names: tuple[str, ...]
    """What each is called in the set; none where a row group holds the bytes."""
    urls: tuple[str, ...]
    table: str = ""
    """The Parquet file whose row group holds the bytes."""
    row_group: int = 0
    sha256: str = ""
    """Of names and contents."""


@cache
def list_chunks(one: EvalSet) -> tuple[EvalChunk, ...]:
    """A set's pictures, in chunks; reads every byte once, to know what it would be compared with.

    Raises:
        ValueError, OSError: the set is not there, holds no picture, or names one on the web.
    """
    filesystem, path = fsspec.url_to_fs(one.pictures)
    if WILD.search(one.pictures):
        tables = map(filesystem.unstrip_protocol, sorted(filesystem.glob(path)))
        chunks = tuple(chunk for table in tables for chunk in _list_row_groups(one.name, table))
    elif filesystem.isdir(path):
        chunks = _chunk(one, _list_folder(filesystem, path, one.pictures))
    elif not filesystem.exists(path):
        raise ValueError(f"eval set {one.name!r}: {one.pictures} is not there")
    elif one.pictures.endswith(".parquet") and _holds_bytes(one.pictures):
        chunks = _list_row_groups(one.name, one.pictures)
    else:
        chunks = _chunk(one, _list_table(one))
    if not chunks:
        raise ValueError(f"eval set {one.name!r}: {one.pictures} holds no pictures")
    return chunks


def _list_folder(filesystem: Any, path: str, url: str) -> list[tuple[str, str]]:
    """Names relative to the folder, and fsspec URLs."""
    found = sorted(f for f in filesystem.find(path) if f.lower().endswith(PICTURE_ENDINGS))
    root = filesystem._strip_protocol(path).rstrip("/") + "/"
    names = [file.removeprefix(root) for file in found]
    return [(name, join_url(url, name)) for name in names]


def _list_table(one: EvalSet) -> list[tuple[str, str]]:
    rows = _read_rows(one.pictures)
    columns = [name for name in LOCATIONS if rows and name in rows[0]]
    if not columns:
        raise ValueError(
            f"eval set {one.name!r}: {one.pictures} has none of the columns {', '.join(LOCATIONS)}"
        )
    places = [str(row[columns[0]]) for row in rows]
    for place in places:
        if place.startswith(("http://", "https://")):
            raise ValueError(
                f"eval set {one.name!r} names {place}, which is on the web: give files, or build "
                "them first and give the build's pairs/*.parquet"
            )
    folder = one.pictures.rpartition("/")[0]
    return [(place, _resolve(place, folder)) for place in places]


def _resolve(place: str, folder: str) -> str:
    """A path beside the table, unless it is one of its own."""
    return place if "://" in place or place.startswith("/") or not folder else f"{folder}/{place}"


def _read_rows(url: str) -> list[dict[str, Any]]:
    if url.endswith(".parquet"):
        with fsspec.open(url, "rb") as file:
            rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
            return rows
    with fsspec.open(url, "rt", encoding="utf-8-sig", compression="infer", newline="") as file:
        if ".json" in url.rpartition("/")[2] or ".ndjson" in url:
            return [json.loads(line) for line in file if line.strip()]
        return list(csv.DictReader(file, delimiter="\t" if ".tsv" in url else ","))


def _holds_bytes(url: str) -> bool:
    with fsspec.open(url, "rb") as file:
        schema = pq.read_schema(file)
    if "image" not in schema.names:
        return False
    kind = schema.field("image").type
    of_bytes = pa.types.is_struct, pa.types.is_binary, pa.types.is_large_binary
    return any(holds(kind) for holds in of_bytes)


def _list_row_groups(name: str, table: str) -> tuple[EvalChunk, ...]:
    if not (table.endswith(".parquet") and _holds_bytes(table)):
        raise ValueError(f"eval set {name!r}: {table} is no Parquet with a column image of bytes")
    with fsspec.open(table, "rb") as file:
        groups = pq.ParquetFile(file).num_row_groups
    digest = hash_file(table)
    return tuple(
        EvalChunk(name, (), (), table, group, make_digest(digest, str(group)))
        for group in range(groups)
    )


def _chunk(one: EvalSet, files: Sequence[tuple[str, str]]) -> tuple[EvalChunk, ...]:
    chunks = []
    for start in range(0, len(files), CHUNK_PICTURES):
        names, urls = zip(*files[start : start + CHUNK_PICTURES], strict=True)
        for name in names:
            if "\n" in name:
                raise ValueError(f"eval set {one.name!r}: {name!r} has a line break; rename it")
        digest = make_digest(*names, *map(hash_file, urls))
        chunks.append(EvalChunk(one.name, names, urls, sha256=digest))
    return tuple(chunks)


def read_bodies(chunk: EvalChunk, max_bytes: int) -> Iterator[tuple[str, bytes | None]]:
    """Each picture's name and bytes; None where they are too many."""
    if chunk.table:
        yield from _read_row_group(chunk, max_bytes)
        return
    for name, url in zip(chunk.names, chunk.urls, strict=True):
        with fsspec.open(url, "rb") as file:
            body = file.read(max_bytes + 1)
        yield name, body if len(body) <= max_bytes else None


def _read_row_group(chunk: EvalChunk, max_bytes: int) -> Iterator[tuple[str, bytes | None]]:
    with fsspec.open(chunk.table, "rb") as file:
        parquet = pq.ParquetFile(file)
        known = parquet.schema_arrow.names
        names = [name for name in LOCATIONS if name != "image" and name in known][:1]
        table = parquet.read_row_group(chunk.row_group, columns=["image", *names])
    for number, row in enumerate(table.to_pylist()):
        body, place = row["image"], f"row group {chunk.row_group}, row {number}"
        if isinstance(body, dict):
            place, body = body.get("path") or place, body.get("bytes")
        if body is not None:  # a row without a picture is none of the set's
            name = str(row[names[0]]) if names else place
            yield name.replace("\n", " "), body if len(body) <= max_bytes else None
