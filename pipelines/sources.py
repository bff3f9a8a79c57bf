"""Source tables to work units: any CSV, TSV, JSON Lines or Parquet with a url and a caption column.

The driver reads each source once, in order, and cuts it by position into units of rows, each a
small Parquet file in `DIR/rows`. A unit's name is made of the source's hash and the unit's row
range, so the same list gives the same units, and nothing downstream depends on who works on them.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.commit import (
    Output,
    Written,
    commit_table,
    current_manifest,
    publish,
    read_record,
    unit_output,
)
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
        pa.field("outcome", pa.string()),  # how an earlier fetch ended; null: to be fetched
        pa.field("signal", pa.string()),  # what that fetch said of it
        pa.field("shard", pa.string()),  # file that holds the picture already (fsspec URL)
        pa.field("member", pa.string()),  # which picture of that file
    ]
)
"""A row as its source gives it; bytes that are no UTF-8 are shown as U+FFFD and marked."""

UNKNOWN = ("expected_hash", "outcome", "signal", "shard", "member")

DELIMITERS = {"csv": ",", "tsv": "\t"}
MAX_FIELD_BYTES = 16 << 20
"""A longer field in a CSV file is an unclosed quotation mark, not a caption."""

csv.field_size_limit(MAX_FIELD_BYTES)

Row = tuple[bytes | str | None, bytes | str | None, bytes | str | None]


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns that a source table has."""

    url: str = "url"
    caption: str = "caption"
    license: str = "license"


@dataclass(frozen=True, slots=True)
class Source:
    """One input table."""

    url: str
    columns: Columns = field(default_factory=Columns)

    @property
    def format(self) -> str:
        """csv, tsv, jsonl or parquet, by the file's name (.gz and .zst aside)."""
        name = self.url.removesuffix(".gz").removesuffix(".zst")
        ending = name.rpartition(".")[2].lower()
        known = {
            "csv": "csv",
            "tsv": "tsv",
            "jsonl": "jsonl",
            "ndjson": "jsonl",
            "parquet": "parquet",
        }
        if ending not in known:
            raise ValueError(
                f"{self.url}: the ending .{ending} is none of .csv .tsv .jsonl .parquet "
                "(.gz and .zst may follow); rename the file after what it holds"
            )
        return known[ending]


def hash_source(source: Source) -> str:
    """SHA-256 of the file as it stands; raises FileNotFoundError with the name."""
    filesystem, path = fsspec.url_to_fs(source.url)
    if not filesystem.isfile(path):
        raise FileNotFoundError(f"{source.url} is not there: --input takes a file that exists")
    digest = hashlib.sha256()
    with filesystem.open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def read_rows(source: Source) -> Iterator[Row]:
    """(url, caption, license) of each row, in order.

    Raises ValueError, naming the file and the place, when the table cannot be read or
    has no such column.
    """
    filesystem, path = fsspec.url_to_fs(source.url)
    readers = {"parquet": _read_parquet, "jsonl": _read_jsonl}
    reader = readers.get(source.format, _read_delimited)
    with filesystem.open(path, "rb", compression="infer") as file:
        try:
            yield from reader(file, source)
        except (pa.ArrowException, csv.Error, EOFError, OSError, UnicodeDecodeError) as err:
            raise ValueError(f"{source.url} cannot be read as {source.format}: {err}") from err


def _read_delimited(file: IO[bytes], source: Source) -> Iterator[Row]:
    # Latin-1 maps every byte to one character, so that bytes that are no UTF-8 come through.
    lines = (line.decode("latin-1") for line in file)
    delimiter = DELIMITERS[source.format]
    if source.format == "tsv":
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter)
    header = [name.removeprefix("\xef\xbb\xbf") for name in next(reader, [])]
    places = [_find(header, name, source) for name in _wanted(source, header)]
    for cells in reader:
        if cells:
            yield _pick([cell.encode("latin-1") for cell in cells], places)


def _pick(cells: Sequence[bytes], places: Sequence[int | None]) -> Row:
    """The wanted cells of a row; a row that is too short lacks its last ones."""
    url, caption, licence = (
        cells[place] if place is not None and place < len(cells) else None for place in places
    )
    return url, caption, licence


def _wanted(source: Source, header: Sequence[str]) -> tuple[str, str, str | None]:
    columns = source.columns
    return columns.url, columns.caption, columns.license if columns.license in header else None


def _find(header: Sequence[str], name: str | None, source: Source) -> int | None:
    if name is None:
        return None
    if name not in header:
        raise ValueError(
            f"{source.url} has no column {name!r}; it has "
            f"{', '.join(map(repr, header)) or 'none'}: "
            "name the right ones with --url_column and --caption_column"
        )
    return header.index(name)


def _read_jsonl(file: IO[bytes], source: Source) -> Iterator[Row]:
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
            _find(list(record), source.columns.url, source)
            _find(list(record), source.columns.caption, source)
        columns = source.columns
        yield (
            _as_text(record.get(columns.url)),
            _as_text(record.get(columns.caption)),
            _as_text(record.get(columns.license)),
        )


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _read_parquet(file: IO[bytes], source: Source) -> Iterator[Row]:
    table = pq.ParquetFile(file)
    header = table.schema_arrow.names
    names = _wanted(source, header)
    for name in names:
        _find(header, name, source)
    present = [name for name in names if name is not None]
    for batch in table.iter_batches(batch_size=4096, columns=present):
        texts = [batch.column(name).cast(pa.binary()).to_pylist() for name in present]
        missing = [[None] * batch.num_rows] * (3 - len(present))
        yield from zip(*texts, *missing, strict=True)


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
            {"sha256": digest, "format": source.format, "url": source.columns.url}
            | {"caption": source.columns.caption}
            for source, digest in zip(sources, hashes, strict=True)
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
        entries = _cut_sources(folder, sources, hashes, unit_rows, limit)
    except BaseException:
        if old is None:
            _remove_units(folder)
        raise
    return publish(folder, Manifest("rows", 0, entries, {}, recipe, fetch_sha256, inputs))


def _cut_sources(
    folder: str,
    sources: Sequence[Source],
    hashes: Sequence[str],
    unit_rows: int,
    limit: int | None,
) -> tuple[FileEntry, ...]:
    entries: list[FileEntry] = []
    for number, (source, digest) in enumerate(zip(sources, hashes, strict=True)):
        left = None if limit is None else limit - sum(entry.rows for entry in entries)
        entries += _cut_source(folder, source, number, digest, unit_rows, left, len(entries))
    return tuple(entries)


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
            "the same --input files and columns in the same order (more may follow them)"
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
) -> Iterator[FileEntry]:
    rows = read_rows(source) if limit is None else islice(read_rows(source), max(0, limit))
    start = 0
    while unit := list(islice(rows, unit_rows)):
        index = first_unit + start // unit_rows
        output = unit_output(folder, index, digest, str(number), str(start), str(len(unit)))
        yield read_record(output) or _write_unit(output, unit, number, start)
        start += len(unit)


def _write_unit(output: Output, rows: list[Row], source: int, start: int) -> FileEntry:
    return commit_table(output, make_rows_table(rows, source, start), Written(len(rows)))


def make_rows_table(rows: Sequence[Row], source: int, start: int) -> pa.Table:
    """Rows of one source from position `start` on, in ROWS_SCHEMA."""
    urls, captions, licences = (list(map(_decode, column)) for column in zip(*rows, strict=True))
    return pa.table(
        {
            "source": pa.repeat(pa.scalar(source, pa.int32()), len(rows)),
            "row": pa.array(range(start, start + len(rows)), pa.int64()),
            "url": [text for text, _ in urls],
            "caption": [text for text, _ in captions],
            "license": [text for text, _ in licences],
            "invalid_utf8": [bad for _, bad in captions],
            **{name: pa.nulls(len(rows), pa.string()) for name in UNKNOWN},
        },
        schema=ROWS_SCHEMA,
    )


def _decode(value: bytes | str | None) -> tuple[str | None, bool]:
    """A value as text, and whether it was no UTF-8."""
    if value is None:
        return None, False
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace"), True
