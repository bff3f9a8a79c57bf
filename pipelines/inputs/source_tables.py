"""Readers of source tables: CSV, TSV, JSON Lines and Parquet to rows, each cell as it stands.

A column `sha256` or `md5` (DataComp's lists have the first) says what the picture's bytes must be.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.inputs.source import Cell, Row, Source, find_column
from pipelines.inputs.source_rows import RowMaker

DELIMITERS = {"csv": ",", "tsv": "\t"}
MAX_FIELD_BYTES = 16 << 20
"""A longer field in a CSV file is an unclosed quotation mark, not a caption."""

MAX_LINE_BYTES = 4 * MAX_FIELD_BYTES
"""A longer line is no row: a few megabytes of gzip can hold one that no memory does."""

csv.field_size_limit(MAX_FIELD_BYTES)


def read_delimited(file: IO[bytes], source: Source) -> Iterator[Row]:
    # Latin-1 maps every byte to one character, so that bytes that are no UTF-8 come through.
    lines = (line.decode("latin-1") for line in read_lines(file, source.url))
    delimiter = DELIMITERS[source.format]
    if delimiter == "\t" and not source.dialect.quoted:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter)
    header, records = _take_header(reader, source)
    make_row = RowMaker(source, header)
    places = [None if name is None else header.index(name) for name in make_row.names]
    for number, cells in enumerate(filter(None, records)):
        yield make_row(_pick([cell.encode("latin-1") for cell in cells], places), number)


def read_lines(file: IO[bytes], where: str) -> Iterator[bytes]:
    """Every line; raises ValueError for one that is longer than a row can be."""
    readline = file.readline
    for number in count(1):
        line = readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"{where}, line {number}, is longer than {MAX_LINE_BYTES} bytes")
        yield line


def _take_header(
    records: Iterator[list[str]], source: Source
) -> tuple[Sequence[str], Iterator[list[str]]]:
    """The columns' names and the records below them; the dialect knows the names or the file."""
    first = next(records, [])
    if not source.dialect.headers:
        return [name.removeprefix("\xef\xbb\xbf") for name in first], records
    for header in source.dialect.headers:
        if len(header) == len(first):
            return header, chain([first], records)
    known = " or ".join(str(len(header)) for header in source.dialect.headers)
    raise ValueError(
        f"{source.url} begins with {len(first)} columns, and the dialect {source.dialect.name} has "
        f"{known} without a header line: name another --dialect"
    )


def _pick(cells: Sequence[bytes], places: Sequence[int | None]) -> list[Cell]:
    """The wanted cells of a row; a row that is too short lacks its last ones."""
    return [cells[place] if place is not None and place < len(cells) else None for place in places]


def read_jsonl(file: IO[bytes], source: Source) -> Iterator[Row]:
    make_row, place = RowMaker(source, None), 0
    for number, line in enumerate(read_lines(file, source.url), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as err:
            raise ValueError(f"{source.url}, line {number}, is not JSON: {err}") from err
        if not isinstance(record, dict):
            raise ValueError(f"{source.url}, line {number}, is no JSON object")
        if place == 0:
            _check_record(record, source)
        yield make_row([as_text(record.get(name)) for name in make_row.names], place)
        place += 1


def _check_record(record: dict[str, Any], source: Source) -> None:
    """The first record has the picture's column and one of the captions'."""
    columns = source.columns
    find_column(list(record), columns.image or columns.url, source.url)
    if not set(columns.captions) & set(record):
        find_column(list(record), columns.captions[0], source.url)


def as_text(value: Any) -> str | None:
    """A JSON value as a table's cell."""
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)


def read_parquet(file: IO[bytes], source: Source) -> Iterator[Row]:
    table = pq.ParquetFile(file)
    schema, image = table.schema_arrow, source.columns.image
    holds_pictures = image in schema.names and _holds_bytes(schema.field(image).type)
    make_row = RowMaker(source, schema.names, holds_pictures=holds_pictures)
    present = [name for name in make_row.names if name is not None]
    places = count()
    for batch in table.iter_batches(batch_size=4096, columns=present):
        missing = [None] * batch.num_rows
        cells = [
            missing if name is None else list_cells(batch.column(name)) for name in make_row.names
        ]
        yield from map(make_row, zip(*cells, strict=True), places)


def _holds_bytes(kind: pa.DataType) -> bool:
    """Bytes, or Hugging Face's struct of bytes and path."""
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _is_binary(field.type) for field in kind)
    return _is_binary(kind)


def list_cells(column: pa.Array) -> list[bytes | None]:
    """A column's cells as bytes: text by its UTF-8, binary as it is, else as it is written."""
    kind = column.type
    if pa.types.is_nested(kind):
        texts = map(as_text, column.to_pylist())
        return [None if text is None else text.encode() for text in texts]
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
