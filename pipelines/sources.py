"""Sources to work units: tables of URLs and captions, and pictures that are already at hand.

The driver reads each source once, in order, and cuts it by position into units of rows, each a
small Parquet file in `DIR/rows`. A unit's name is made of the source's hash and the unit's row
range, so the same list gives the same units, and nothing downstream depends on who works on them.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import fsspec
import pyarrow as pa

from pipelines.commit import (
    Output,
    Written,
    commit_table,
    current_manifest,
    publish,
    read_record,
    unit_output,
)
from pipelines.inputs.dialects import Columns as Columns
from pipelines.inputs.source import Cell, Row
from pipelines.inputs.source import Source as Source
from pipelines.inputs.source_reading import hash_source as hash_source
from pipelines.inputs.source_reading import read_rows as read_rows
from pipelines.inputs.source_records import describe_input, list_sources, unit_key
from pipelines.purging.burial import bury_rows, find_rows
from pipelines.purging.tombstones import Tombstones, read_tombstones
from tokens.manifest import FileEntry, Manifest, join_url

ROWS_SCHEMA = pa.schema(
    [
        pa.field("source", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("license", pa.string()),
        pa.field("invalid_utf8", pa.bool_(), nullable=False),
        pa.field("expected_hash", pa.string()),  # "sha256:<hex>" or "md5:<hex>" of the bytes
        pa.field("outcome", pa.string()),  # how it has ended already; null: to be fetched
        pa.field("signal", pa.string()),  # what that fetch, or the source, said of it
        pa.field("shard", pa.string()),  # what holds the picture already, below the source's folder
        pa.field("member", pa.string()),  # which picture of it
        pa.field("original_width", pa.int32()),  # before that fetch shrank it; null: not known
        pa.field("original_height", pa.int32()),
        pa.field("face_boxes", pa.list_(pa.float32())),  # four shares of the picture's size each
        pa.field("declared_width", pa.int32()),  # as the source says: for people, no rule reads it
        pa.field("declared_height", pa.int32()),
        pa.field("pair_id", pa.binary(16)),  # of a row that was taken down: all that is left of it
    ]
)
"""A row as its source gives it; bytes that are no UTF-8 are shown as U+FFFD and marked."""

EARLIER_FETCH = ("outcome", "signal", "shard", "member", "original_width", "original_height")
"""What only a row has that was fetched before; null for one that was not."""
TOLD = ("face_boxes", "declared_width", "declared_height")
"""What else a source may say of a picture."""


def cut_rows(
    directory: str,
    sources: Sequence[Source],
    *,
    unit_rows: int,
    limit: int | None,
    recipe: dict[str, Any],
    fetch_sha256: str,
) -> Manifest:
    """Cut sources into units below `DIR/rows` and publish their manifest.

    Raises ValueError when the folder holds a build of other sources, another unit size or
    another [fetch] section: pictures that are there already were fetched under those.
    """
    folder = join_url(directory, "rows")
    hashes = [hash_source(source) for source in sources]
    inputs = {
        "sources": [
            describe_input(source, digest) for source, digest in zip(sources, hashes, strict=True)
        ],
        "unit_rows": unit_rows,
        "limit": limit,
    }
    old = current_manifest(folder)
    if old is not None:
        _refuse_other_build(directory, old, inputs, fetch_sha256)
        if old.inputs == inputs:
            return old
    try:
        gone = read_tombstones(directory)
        entries, starts = _cut_sources(folder, sources, hashes, unit_rows, limit, gone)
    except BaseException:
        if old is None:
            _remove_units(folder)
        raise
    details = {"sources": list_sources(sources, starts, entries)}
    return publish(folder, Manifest("rows", 0, entries, {}, recipe, fetch_sha256, inputs, details))


def _cut_sources(
    folder: str,
    sources: Sequence[Source],
    hashes: Sequence[str],
    unit_rows: int,
    limit: int | None,
    gone: Tombstones,
) -> tuple[tuple[FileEntry, ...], list[int]]:
    """The units, and the first one's number of each source."""
    entries: list[FileEntry] = []
    starts: list[int] = []
    for number, (source, digest) in enumerate(zip(sources, hashes, strict=True)):
        starts.append(len(entries))
        left = None if limit is None else limit - sum(entry.rows for entry in entries)
        entries += _cut_source(folder, source, number, digest, unit_rows, left, len(entries), gone)
    return tuple(entries), starts


def _remove_units(folder: str) -> None:
    """A table that breaks off has left units that no manifest will name."""
    filesystem, path = fsspec.url_to_fs(folder)
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)


def _refuse_other_build(
    directory: str, old: Manifest, inputs: dict[str, Any], fetch_sha256: str
) -> None:
    was = old.inputs
    if inputs["sources"][: len(was["sources"])] != was["sources"]:
        raise ValueError(
            f"{directory} holds a build of another source list: choose another --output, or give "
            "the same --input files and columns in the same order (more may follow them: a "
            "pattern's new files, too, must come after all that there were)"
        )
    if inputs["unit_rows"] != was["unit_rows"]:
        raise ValueError(
            f"{directory} was built with unit_rows = {was['unit_rows']} and the recipe says "
            f"{inputs['unit_rows']}: choose another --output or set it back"
        )
    if fetch_sha256 != old.section_sha256:
        raise ValueError(
            f"{directory} was fetched under another [fetch] section than the recipe's: "
            "choose another --output or set the section back"
        )


def _cut_source(
    folder: str,
    source: Source,
    number: int,
    digest: str,
    unit_rows: int,
    limit: int | None,
    first_unit: int,
    gone: Tombstones,
) -> Iterator[FileEntry]:
    rows = read_rows(source) if limit is None else islice(read_rows(source), max(0, limit))
    start, key = 0, unit_key(source, digest)
    while unit := list(islice(rows, unit_rows)):
        index = first_unit + start // unit_rows
        output = unit_output(folder, index, *key, str(number), str(start), str(len(unit)))
        yield read_record(output) or _write_unit(output, unit, number, start, gone)
        start += len(unit)


def _write_unit(
    output: Output, rows: list[Row], source: int, start: int, gone: Tombstones
) -> FileEntry:
    table = make_rows_table(rows, source, start)
    buried = bury_rows(table, find_rows(table, gone))
    return commit_table(output, buried.combine_chunks(), Written(len(rows)))


def make_rows_table(rows: Sequence[Row], source: int, start: int) -> pa.Table:
    """Rows of one source from position `start` on, in ROWS_SCHEMA."""
    # A bare tuple may lack the last ones.
    columns = dict(zip(Row._fields, zip(*(Row(*row) for row in rows), strict=True), strict=True))
    urls, captions, licences = (
        [_decode(cell) for cell in columns[name]] for name in ("url", "caption", "license")
    )
    return pa.table(
        {
            "source": pa.repeat(pa.scalar(source, pa.int32()), len(rows)),
            "row": pa.array(range(start, start + len(rows)), pa.int64()),
            "url": [text for text, _ in urls],
            "caption": [text for text, _ in captions],
            "license": [text for text, _ in licences],
            "invalid_utf8": [bad for _, bad in captions],
            **{name: columns[name] for name in ("expected_hash", *EARLIER_FETCH, *TOLD)},
            "pair_id": pa.nulls(len(rows), pa.binary(16)),
        },
        schema=ROWS_SCHEMA,
    )


def _decode(value: Cell) -> tuple[str | None, bool]:
    """A value as text, and whether it was no UTF-8."""
    if value is None:
        return None, False
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace"), True
