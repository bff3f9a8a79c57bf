"""The bytes of pictures that a source holds itself: files, a column of a table, members of a tar.

How a row's `member` is written says where its picture lies in its shard:

    file:sub/cat.jpg    a file below the source's folder
    row:17:image        row 17 of a Parquet file, in the column `image`
    tar:81920           the plain file whose header begins at that byte of a tar
    17                  a picture of img2dataset's (`img2dataset_members.py`)

All of it is a stranger's. Nothing is unpacked, no name becomes a path before it is known to lie
below its folder, and no more than the limit is read of a file or member. What is missing or broken
is its row's outcome.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from typing import IO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.inputs.img2dataset_members import BATCH_ROWS, BUFFER_BYTES, judge_body, read_members
from pipelines.inputs.plain_files import read_below
from pipelines.inputs.tar_members import read_member
from pipelines.web.fetched import Fetched
from tokens.manifest import join_url

Read = Callable[[IO[bytes], Sequence[str], int], Iterator[tuple[str, bytes | None]]]
"""An open shard, members, the most bytes of one -> members with their bytes, None where broken."""


def read_stored(
    folder: str, shard: str, members: Sequence[str], max_bytes: int
) -> Iterator[tuple[str, Fetched]]:
    """What a shard holds for each member, once, in the shard's order.

    Args:
        folder: fsspec URL of what `shard` lies below.
        shard: as in `Row.shard`.
        members: as in `Row.member`, each once, all of one kind.
        max_bytes: of one picture.

    Returns:
        Each of `members` exactly once: `ok` with its bytes, or `truncated_body` (not there, or cut
        short), `body_too_large`, `empty_body` or `not_an_image` (no plain file below the folder).

    Raises:
        FileNotFoundError: the shard is not there, which is no fault of a row's.
    """
    kind = members[0].partition(":")[0] if members else ""
    url = join_url(folder, shard)
    if kind == "file":
        yield from ((member, _read_file(folder, member, max_bytes)) for member in members)
    elif kind in READERS:
        yield from _read_shard(url, members, max_bytes, READERS[kind])
    else:
        yield from read_members(url, members, max_bytes)


def _read_file(folder: str, member: str, max_bytes: int) -> Fetched:
    name = member.partition(":")[2]
    opened = read_below(folder, name, max_bytes)
    if opened.content is not None:
        return judge_body(opened.content, max_bytes, name)
    missing = opened.fault == "not there"
    return Fetched("truncated_body" if missing else "not_an_image", signal=opened.fault)


def _read_shard(
    url: str, members: Sequence[str], max_bytes: int, read: Read
) -> Iterator[tuple[str, Fetched]]:
    filesystem, path = fsspec.url_to_fs(url)
    if not filesystem.exists(path):
        raise FileNotFoundError(
            f"{url} is not there: what holds the pictures must stay where it was when the build "
            "began"
        )
    left = dict.fromkeys(members)
    with filesystem.open(path, "rb") as file:
        for member, body in read(file, members, max_bytes):
            del left[member]
            yield member, judge_body(body, max_bytes, url)
    for member in left:
        yield member, Fetched("truncated_body", signal=f"{member} is not in {url}")


def _read_tar(
    file: IO[bytes], members: Sequence[str], max_bytes: int
) -> Iterator[tuple[str, bytes | None]]:
    for offset, member in sorted((int(one.partition(":")[2]), one) for one in members):
        yield member, read_member(file, offset, max_bytes)


def _read_rows(
    file: IO[bytes], members: Sequence[str], _max_bytes: int
) -> Iterator[tuple[str, bytes | None]]:
    wanted = {int(member.split(":", 2)[1]): member for member in members}
    column = members[0].split(":", 2)[2]
    try:
        table = pq.ParquetFile(file, buffer_size=BUFFER_BYTES)
        for place, cell in _read_groups(table, column, wanted):
            if place in wanted:
                yield wanted.pop(place), cell
            if not wanted:
                return
    except (pa.ArrowException, OSError, KeyError):
        return  # what has not come by now is missing


def _read_groups(
    table: pq.ParquetFile, column: str, wanted: Container[int]
) -> Iterator[tuple[int, bytes | None]]:
    first = 0
    path = column if _is_binary(table, column) else f"{column}.bytes"
    for number in range(table.num_row_groups):
        rows = table.metadata.row_group(number).num_rows
        if any(place in wanted for place in range(first, first + rows)):
            cells = _read_column(table, number, path)
            yield from enumerate(cells, first)
        first += rows


def _is_binary(table: pq.ParquetFile, column: str) -> bool:
    return not pa.types.is_struct(table.schema_arrow.field(column).type)


def _read_column(table: pq.ParquetFile, group: int, path: str) -> Iterator[bytes | None]:
    for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], columns=[path]):
        cells = batch.column(0)
        if pa.types.is_struct(cells.type):
            (cells,) = cells.flatten()
        yield from cells.cast(pa.binary()).to_pylist()


READERS: dict[str, Read] = {"tar": _read_tar, "row": _read_rows}
