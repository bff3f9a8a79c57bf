"""The record sets of a Croissant document: the columns of each series of Parquet files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from tokens.manifest import FileEntry, join_url

PARQUET = "application/x-parquet"
"""As mlcroissant 1.1 knows it."""
MAX_FILES = 1000
"""A series of more has no record set for each file, 3 kB of text: it has the hashes all the same,
and `pipelines.verify` compares them."""

_DATA_TYPES = {
    pa.bool_(): "sc:Boolean",
    pa.int8(): "cr:Int8",
    pa.int32(): "cr:Int32",
    pa.int64(): "cr:Int64",
    pa.uint8(): "cr:UInt8",
    pa.uint16(): "cr:UInt16",
    pa.uint32(): "cr:UInt32",
    pa.float32(): "cr:Float32",
    pa.string(): "sc:Text",
}
"""Bytes have no type in Croissant: they are given as text, and their field says what they are."""

_MEANINGS = {
    "pair_id": "xxh3-128 of URL, NUL and caption: the same in every build; 16 bytes",
    "view": "which crop of the picture, from 0",
    "text_tokens": "the caption's BPE tokens, without padding",
    "text_truncated": "whether the caption had more tokens than fit",
    "image_codes": "the crop's codes in raster order",
    "caption": "the caption, as it was encoded",
    "url": "where the picture was found",
    "sha256": "of the picture's bytes as fetched; 32 bytes",
    "original_width": "pixels, upright, before the picture was shrunk",
    "original_height": "pixels, upright, before the picture was shrunk",
    "license": "as the source gives it for this pair; nobody has checked it",
    "source": "which of the sources in the card, from 0",
    "image": "the stored picture, JPEG or PNG bytes; null unless the outcome is ok",
    "outcome": "ok, or why there is no picture",
}


def series_id(name: str) -> str:
    """The FileSet that a series' records come from."""
    return f"{name}/files"


def describe_records(
    name: str, directory: str, folder: str, entries: Sequence[FileEntry]
) -> Iterator[dict[str, Any]]:
    """A series as a record set, and each of its files as one; the columns are the first file's."""
    schema = read_schema(join_url(directory, folder), entries[0])
    files = {"fileSet": {"@id": series_id(name)}}
    yield _describe_set(name, schema, files, f"{sum(e.rows for e in entries)} rows")
    if len(entries) > MAX_FILES:
        return
    for entry in entries:
        path = f"{folder}/{entry.name}"
        told = f"{entry.rows} rows of {name}, the file's hash compared"
        yield _describe_set(f"{path}/rows", schema, {"fileObject": {"@id": path}}, told)


def _describe_set(
    name: str, schema: pa.Schema, source: Mapping[str, Any], description: str
) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": [_describe_field(name, field, source) for field in schema],
    }


def read_schema(folder: str, entry: FileEntry) -> pa.Schema:
    """The columns of one committed file."""
    filesystem, path = fsspec.url_to_fs(join_url(folder, entry.name))
    with filesystem.open(path, "rb") as file:
        return pq.read_schema(file)


def _describe_field(records: str, field: pa.Field, source: Mapping[str, Any]) -> dict[str, Any]:
    meaning = {"description": _MEANINGS[field.name]} if field.name in _MEANINGS else {}
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{field.name}",
        "name": field.name,
        **meaning,
        **_describe_type(field.type),
        "source": {**source, "extract": {"column": field.name}},
    }


def _describe_type(kind: pa.DataType) -> dict[str, Any]:
    """A list's length is -1 where it varies."""
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        length = kind.list_size if pa.types.is_fixed_size_list(kind) else -1
        return {**_describe_type(kind.value_type), "isArray": True, "arrayShape": str(length)}
    return {"dataType": _DATA_TYPES.get(kind, "sc:Text")}
