"""A folder that img2dataset wrote, as an input: its pictures are taken, its failures are kept.

    00000.parquet       a row per URL: url, caption, key, status, error_message, and the picture
                        itself in a column jpg, png or webp where that is the output format
    00000.tar           webdataset: 000000000.jpg, .txt, .json for each picture
    00000/              files: the same, loose
    00000_stats.json    written last, so a shard without it is half a shard

The column sha256 is of the bytes before img2dataset compressed them anew, so it says nothing about
the bytes in the folder and is not taken for an expected digest.
"""

import hashlib
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.inputs.img2dataset_outcomes import bound_message, name_outcome
from pipelines.inputs.source import Row, Source, find_column
from pipelines.inputs.source_rows import choose_caption
from pipelines.inputs.source_tables import list_cells
from tokens.manifest import join_url

PICTURE_ENDINGS = ("jpg", "png", "webp")
"""What img2dataset calls a picture, as a file's ending and as a column (encode_format)."""
SIZES = ("original_width", "original_height")
"""Pixels before img2dataset shrank the picture, which may have cropped it, too."""
KEY = re.compile(r"[0-9]+")
FILE_NAME = re.compile(r"([0-9]+)(\.parquet|\.tar|\.tfrecord|_stats\.json|)")
MAX_NAMED = 5
"""Shards that an error names."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shard:
    """One numbered part of a folder, whole."""

    number: str
    table: str
    """fsspec URL of the metadata."""
    pictures: str
    """fsspec URL of the tar, the folder or the table that holds the pictures."""
    stats: str


def list_shards(url: str) -> list[Shard]:
    """The shards of a folder, in order.

    Raises:
        ValueError: this is no folder of img2dataset's, or a shard of it is not whole.
    """
    filesystem, path = fsspec.url_to_fs(url)
    root = filesystem.unstrip_protocol(path)  # a relative path means nothing to a later run
    parts: dict[str, set[str]] = defaultdict(set)
    for file in filesystem.ls(path, detail=False):
        match = FILE_NAME.fullmatch(file.rstrip("/").rpartition("/")[2])
        if match:
            parts[match[1]].add(match[2])
    if not parts:
        raise ValueError(
            f"{url} is a folder without any NNNNN.parquet of img2dataset's: --input takes a file, "
            "or a folder that img2dataset wrote"
        )
    _refuse_parts(url, parts)
    return [_find_shard(root, number, parts[number]) for number in sorted(parts, key=int)]


def _refuse_parts(url: str, parts: dict[str, set[str]]) -> None:
    _refuse(
        url,
        [number for number, there in parts.items() if "_stats.json" not in there],
        "no _stats.json, which img2dataset writes last: it was broken off there; run it again, "
        "which makes those shards anew, or remove their files",
    )
    _refuse(
        url,
        [number for number, there in parts.items() if ".tfrecord" in there],
        "their pictures as tfrecord, which is not read: parquet, webdataset and files are",
    )
    _refuse(
        url,
        [number for number, there in parts.items() if ".parquet" not in there],
        "no .parquet: what their URLs and captions are is not known",
    )


def _refuse(url: str, numbers: list[str], fault: str) -> None:
    if numbers:
        named = ", ".join(sorted(numbers, key=int)[:MAX_NAMED])
        more = f" and {len(numbers) - MAX_NAMED} more" if len(numbers) > MAX_NAMED else ""
        raise ValueError(f"{url}: shards {named}{more} have {fault}")


def _find_shard(root: str, number: str, there: set[str]) -> Shard:
    table = join_url(root, f"{number}.parquet")
    if ".tar" in there:
        pictures = join_url(root, f"{number}.tar")
    else:
        pictures = join_url(root, number) if "" in there else table
    return Shard(number, table, pictures, join_url(root, f"{number}_stats.json"))


def hash_folder(url: str) -> str:
    """SHA-256 over name, size and content of every table and picture file; reads them all."""
    digest = hashlib.sha256()
    for shard in list_shards(url):
        for file in _list_files(shard):
            filesystem, path = fsspec.url_to_fs(file)
            digest.update(
                f"{shard.number} {file.rpartition('/')[2]} {filesystem.size(path)}\n".encode()
            )
            with filesystem.open(path, "rb") as opened:
                while block := opened.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()


def _list_files(shard: Shard) -> list[str]:
    filesystem, path = fsspec.url_to_fs(shard.pictures)
    if not filesystem.isdir(path):
        return sorted({shard.table, shard.pictures})
    names = [file.rpartition("/")[2] for file in filesystem.ls(path, detail=False)]
    pictures = sorted(name for name in names if name.endswith(PICTURE_ENDINGS))
    return [shard.table, *(join_url(shard.pictures, name) for name in pictures)]


def read_folder(source: Source) -> Iterator[Row]:
    """Every row of a folder, shard by shard, in the order of its tables.

    Raises:
        ValueError: as list_shards, or a table is not img2dataset's or cannot be read.
    """
    for shard in list_shards(source.url):
        filesystem, path = fsspec.url_to_fs(shard.table)
        with filesystem.open(path, "rb") as file:
            try:
                yield from _read_shard(shard, pq.ParquetFile(file), source)
            except (pa.ArrowException, OSError) as err:
                raise ValueError(f"{shard.table} cannot be read as parquet: {err}") from err


def _read_shard(shard: Shard, table: pq.ParquetFile, source: Source) -> Iterator[Row]:
    header, columns = table.schema_arrow.names, source.columns
    names = ["key", "status", "error_message", columns.url]
    for name in (*names, *columns.captions):
        find_column(header, name, shard.table)
    optional = (columns.license, *SIZES)
    names += [name if name in header else "" for name in optional]
    names += columns.captions
    in_table = shard.pictures == shard.table
    if in_table and not set(PICTURE_ENDINGS) & set(header):
        shard = replace(shard, pictures="")  # every row must have failed, or it is not whole
    _check_count(shard, table.metadata.num_rows)
    keys: set[str] = set()
    for place, (key, *cells) in enumerate(_list_rows(table, names)):
        member = str(place) if in_table else _check_key(shard, _text(key), keys)
        yield _make_row(shard, member, cells)


def _list_rows(table: pq.ParquetFile, names: list[str]) -> Iterator[tuple[bytes | None, ...]]:
    there = [name for name in names if name]
    for batch in table.iter_batches(batch_size=4096, columns=there):
        nothing = [None] * len(batch)
        columns = (list_cells(batch.column(name)) if name else nothing for name in names)
        yield from zip(*columns, strict=True)


def _make_row(shard: Shard, member: str, cells: Sequence[bytes | None]) -> Row:
    status, message, url, licence, width, height, *captions = cells
    caption = choose_caption(captions)
    if status != b"success":
        outcome = name_outcome(_text(status), _text(message))
        return Row(url, caption, licence, outcome=outcome, signal=bound_message(_text(message)))
    if not shard.pictures:
        raise ValueError(
            f"the pictures of {shard.table} are missing: there is no {shard.number}.tar, no folder "
            f"{shard.number} and no column {', '.join(PICTURE_ENDINGS)}"
        )
    name = shard.pictures.rpartition("/")[2]  # whole, it would say where this machine keeps it
    sizes = _pixels(width), _pixels(height)
    return Row(url, caption, licence, None, None, None, name, member, *sizes)


def _pixels(cell: bytes | None) -> int | None:
    """A side's length; None where the table holds no sensible one."""
    text = _text(cell)
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,5}", text) else None


def _text(cell: bytes | None) -> str:
    return (cell or b"").decode("utf-8", "replace")


def _check_key(shard: Shard, key: str, known: set[str]) -> str:
    """The key, which is going to be a file's name; raises ValueError unless img2dataset made it."""
    if not KEY.fullmatch(key) or key in known:
        fault = "is there twice" if key in known else "is none of img2dataset's"
        raise ValueError(f"{shard.table}: the key {key!r} {fault}")
    known.add(key)
    return key


def _check_count(shard: Shard, num_rows: int) -> None:
    """Warn of rows that img2dataset took in and never wrote down."""
    filesystem, path = fsspec.url_to_fs(shard.stats)
    try:
        count = int(json.loads(filesystem.cat_file(path))["count"])
    except (ValueError, KeyError, TypeError) as err:
        raise ValueError(f"{shard.stats} is no record of img2dataset's: {err}") from err
    if count != num_rows:
        logger.warning(
            "%s: img2dataset was given %d rows and wrote %d: the others are in no table",
            *(shard.table, count, num_rows),
        )
