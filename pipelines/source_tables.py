"""Readers of source tables: CSV, TSV, JSON Lines and Parquet to rows, each cell as it stands.

A column `sha256` or `md5` (DataComp's lists have the first) says what the picture's bytes must be.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.source import Cell, Columns, Row, Source, find_column

DELIMITERS = {"csv": ",", "tsv": "\t"}
MAX_FIELD_BYTES = 16 << 20
"""A longer field in a CSV file is an unclosed quotation mark, not a caption."""
DIGEST_BYTES = {"sha256": 32, "md5": 16}
"""Columns that hold digests, and how long those are; the first that has one counts."""

csv.field_size_limit(MAX_FIELD_BYTES)


def read_delimited(file: IO[bytes], source: Source) -> Iterator[Row]:
    # Latin-1 maps every byte to one character, so that bytes that are no UTF-8 come through.
    lines = (line.decode("latin-1") for line in file)
    delimiter = DELIMITERS[source.format]
    if source.format == "tsv":
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter)
    header = [name.removeprefix("\xef\xbb\xbf") for name in next(reader, [])]
    places = [
        None if name is None else header.index(name)
        for name in _wanted(source.columns, header, source.url)
    ]
    for cells in reader:
        if cells:
            yield _make_row(_pick([cell.encode("latin-1") for cell in cells], places))


def _pick(cells: Sequence[bytes], places: Sequence[int | None]) -> list[Cell]:
    """The wanted cells of a row; a row that is too short lacks its last ones."""
    return [cells[place] if place is not None and place < len(cells) else None for place in places]


def _wanted(columns: Columns, header: list[str], where: str) -> list[str | None]:
    """Names of the columns that `_make_row` takes; None for one that is not there."""
    for name in (columns.url, columns.caption):
        find_column(header, name, where)
    optional = (columns.license, *DIGEST_BYTES)
    return [columns.url, columns.caption, *(name if name in header else None for name in optional)]


def _make_row(cells: Sequence[Cell]) -> Row:
    url, caption, licence, *digests = cells
    return Row(url, caption, licence, _name_digest(digests))


def _name_digest(cells: Sequence[Cell]) -> str | None:
    """ "sha256:<hex>" or "md5:<hex>" of the first cell that is not empty.

    What is no digest is kept as it stands: no picture can match it, so the row is refused where
    matches are required, and not let through unchecked.
    """
    for (algorithm, size), cell in zip(DIGEST_BYTES.items(), cells, strict=True):
        raw = cell.encode("utf-8", "replace") if isinstance(cell, str) else cell or b""
        text = raw.hex() if len(raw) == size else raw.decode("utf-8", "replace").strip().lower()
        if text:
            return f"{algorithm}:{text}"
    return None


def read_jsonl(file: IO[bytes], source: Source) -> Iterator[Row]:
    columns = source.columns
    names = (columns.url, columns.caption, columns.license, *DIGEST_BYTES)
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as err:
            raise ValueError(f"{source.url}, line {number}, is not JSON: {err}") from err
        if not isinstance(record, dict):
            raise ValueError(f"{source.url}, line {number}, is no JSON object")
        if number == 1:
            _wanted(columns, list(record), source.url)
        yield _make_row([_as_text(record.get(name)) for name in names])


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def read_parquet(file: IO[bytes], source: Source) -> Iterator[Row]:
    table = pq.ParquetFile(file)
    names = _wanted(source.columns, table.schema_arrow.names, source.url)
    present = [name for name in names if name is not None]
    for batch in table.iter_batches(batch_size=4096, columns=present):
        missing = [None] * batch.num_rows
        cells = [missing if name is None else list_cells(batch.column(name)) for name in names]
        yield from map(_make_row, zip(*cells, strict=True))


def list_cells(column: pa.Array) -> list[bytes | None]:
    """A column's cells as bytes: text by its UTF-8, binary as it is, else as it is written."""
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_binary(kind)):
        column = column.cast(pa.string())
    cells: list[bytes | None] = column.cast(pa.binary()).to_pylist()
    return cells


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
