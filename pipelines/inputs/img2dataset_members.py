"""The bytes of pictures that img2dataset has stored, out of a table, a tar or a folder.

A shard is a stranger's file like any other. Nothing is unpacked; a member's name is only compared;
links and special files are passed over; no more than the limit is read of a member. A tar is
walked by its 512-byte headers, not with `tarfile`, which reads extension headers of any length
into memory. What is missing or broken is its row's outcome.
"""

import re
from collections.abc import Container, Iterator, Sequence
from typing import IO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.inputs.img2dataset_folder import KEY, PICTURE_ENDINGS
from pipelines.ledger import OK
from pipelines.web.fetched import Fetched

BLOCK_BYTES = 512
"""A tar is made of blocks of this size (POSIX.1-2017, pax, ustar interchange format)."""
OCTAL = re.compile(rb"[ \0]*([0-7]+)[ \0]*")
PLAIN_FILE = (b"0", b"\0")
"""Marks of a member that holds bytes; links and devices have others."""
BUFFER_BYTES = 1 << 20
"""A table is read in pieces of this size and not by whole row groups."""
BATCH_ROWS = 16
"""Pictures of a table that are held at once."""

Found = Iterator[tuple[str, bytes | None]]
"""Members as they come: of one beyond the limit one byte more than that, None for a broken one."""


def read_members(
    shard: str, members: Sequence[str], max_bytes: int
) -> Iterator[tuple[str, Fetched]]:
    """What a shard holds under each name, in the shard's order.

    Args:
        shard: fsspec URL, as in `Row.shard`.
        members: as in `Row.member`, each once.
        max_bytes: of one picture.

    Returns:
        Each of `members` exactly once: `ok` with its bytes, or `truncated_body` (not there, or cut
        short), `body_too_large` or `empty_body`.

    Raises:
        FileNotFoundError: the shard is not there, which is no fault of a row's.
    """
    left = dict.fromkeys(members)
    for member, body in _read(shard, left, max_bytes):
        if member in left:
            del left[member]
            yield member, judge_body(body, max_bytes, shard)
        if not left:
            return
    for member in left:
        yield member, Fetched("truncated_body", signal=f"{member} is not in {shard}")


def judge_body(body: bytes | None, max_bytes: int, shard: str) -> Fetched:
    """How a picture ends that was read up to a byte beyond the limit; None: it could not be."""
    if body is None:
        return Fetched("truncated_body", signal=f"cut short in {shard}")
    if len(body) > max_bytes:
        return Fetched("body_too_large")
    return Fetched(OK, body) if body else Fetched("empty_body")


def _read(shard: str, wanted: Container[str], max_bytes: int) -> Found:
    filesystem, path = fsspec.url_to_fs(shard)
    if not filesystem.exists(path):
        raise FileNotFoundError(
            f"{shard} is not there: the folder that img2dataset wrote must stay where it was when "
            "the build began"
        )
    if filesystem.isdir(path):
        yield from _read_folder(filesystem, path, wanted, max_bytes)
        return
    reader = _read_tar if path.endswith(".tar") else _read_table
    with filesystem.open(path, "rb") as file:
        yield from reader(file, wanted, max_bytes)


def _read_folder(
    filesystem: fsspec.AbstractFileSystem, path: str, wanted: Container[str], max_bytes: int
) -> Found:
    for info in filesystem.ls(path, detail=True):
        member = _member(info["name"].rpartition("/")[2])
        plain = info["type"] == "file" and not info.get("islink")
        if plain and member is not None and member in wanted:
            with filesystem.open(info["name"], "rb") as file:
                yield member, file.read(max_bytes + 1)


def _member(file_name: str) -> str | None:
    """A picture's key, by its file's name; None for what is no picture's."""
    key, _, ending = file_name.partition(".")
    return key if ending in PICTURE_ENDINGS and KEY.fullmatch(key) else None


def _read_tar(file: IO[bytes], wanted: Container[str], max_bytes: int) -> Found:
    position = 0
    while len(header := _block(file, position)) == BLOCK_BYTES:
        size = OCTAL.fullmatch(header[124:136])
        if size is None:
            return  # the end, or no tar any more
        length = int(size[1], 8)
        member = _member(header[:100].partition(b"\0")[0].decode("latin-1"))
        if member is not None and member in wanted and header[156:157] in PLAIN_FILE:
            body = file.read(min(length, max_bytes + 1))
            yield member, body if len(body) == min(length, max_bytes + 1) else None
        position += BLOCK_BYTES * (1 + -(-length // BLOCK_BYTES))


def _block(file: IO[bytes], position: int) -> bytes:
    file.seek(position)
    return file.read(BLOCK_BYTES)


def _read_table(file: IO[bytes], wanted: Container[str], _max_bytes: int) -> Found:
    try:
        yield from _read_groups(pq.ParquetFile(file, buffer_size=BUFFER_BYTES), wanted)
    except (pa.ArrowException, OSError):
        return  # what has not come by now is missing


def _read_groups(table: pq.ParquetFile, wanted: Container[str]) -> Found:
    column = next((name for name in PICTURE_ENDINGS if name in table.schema_arrow.names), None)
    first = 0
    for number in range(0 if column is None else table.num_row_groups):
        rows = table.metadata.row_group(number).num_rows
        if any(str(place) in wanted for place in range(first, first + rows)):
            cells = _read_column(table, number, column)
            yield from ((str(place), cell) for place, cell in enumerate(cells, first))
        first += rows


def _read_column(table: pq.ParquetFile, group: int, column: str | None) -> Iterator[bytes | None]:
    for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], columns=[column]):
        yield from batch.column(0).cast(pa.binary()).to_pylist()
