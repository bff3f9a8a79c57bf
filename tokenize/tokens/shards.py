"""Token shards: the Parquet files that encode writes and the trainer reads, both sides here.

One row per pair and view. The codes are a fixed-size list without nulls, dictionary encoded:
for a vocabulary of 8,192 that is 13-bit packing which every Parquet reader understands, 1.4 %
above the minimum. Row groups of 2,048 rows keep the dictionary page's share at a few bytes a
row. Nothing is compressed: packed codes do not shrink. Every page carries a checksum, because
Parquet alone does not notice a flipped bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import RawIOBase
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tokens.sequence import SequenceLayout, code_dtype

ROW_GROUP_ROWS = 2_048
SHARD_ROWS = 8 * ROW_GROUP_ROWS
MAX_DICTIONARY_BYTES = 1 << 23
"""Parquet's own limit, 1 MiB, is what 262,144 codes fill; past it a column is written plainly."""
PROVENANCE = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("sha256", pa.binary(32)),
        pa.field("original_width", pa.int32()),
        pa.field("original_height", pa.int32()),
        pa.field("license", pa.string()),
        pa.field("source", pa.int32()),
    ]
)
"""Columns of view 0 alone: where a pair came from."""


def shard_schema(layout: SequenceLayout, view: int) -> pa.Schema:
    """The columns of one view's shards."""
    code_type = pa.from_numpy_dtype(code_dtype(layout.image_vocab_size))
    codes = pa.list_(pa.field("item", code_type, nullable=False), layout.num_codes)
    tokens = pa.list_(pa.field("item", pa.uint16(), nullable=False))
    fields = [
        pa.field("pair_id", pa.binary(16), nullable=False),
        pa.field("view", pa.int8(), nullable=False),
        pa.field("text_tokens", tokens, nullable=False),
        pa.field("text_truncated", pa.bool_(), nullable=False),
        pa.field("image_codes", codes, nullable=False),
        pa.field("caption", pa.string(), nullable=False),
    ]
    return pa.schema([*fields, *(PROVENANCE if view == 0 else ())])


def write_shard(sink: str | IO[bytes], table: pa.Table) -> None:
    """Write one shard; `table` has exactly the columns of `shard_schema`."""
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="NONE",
        use_dictionary=["image_codes.list.element"],
        dictionary_pagesize_limit=MAX_DICTIONARY_BYTES,
        write_page_checksum=True,
        write_statistics=False,
    ) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows of token shards as arrays; text row i is `text_ids[offsets[i]:offsets[i + 1]]`."""

    pair_ids: npt.NDArray[np.void]
    """16 bytes each."""
    text_ids: npt.NDArray[np.uint16]
    text_offsets: npt.NDArray[np.int64]
    codes: npt.NDArray[Any]
    """[rows, num_codes], uint16 or uint32, raster order."""
    captions: pa.Array | None = None
    """Strings, where they were asked for."""

    @property
    def rows(self) -> int:
        return len(self.codes)


def open_shard(
    source: str | IO[bytes] | RawIOBase,
    layout: SequenceLayout,
    view: int,
    name: str,
    footer: pq.FileMetaData | None = None,
) -> pq.ParquetFile:
    """Open a shard and check that its columns are those of `layout`.

    Args:
        footer: the shard's own, where an earlier `open_shard` has given it: its columns are then
            known, and `source` is not read yet.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no Parquet file, or holds other columns; the message names `name`.
    """
    try:
        file = pq.ParquetFile(source, metadata=footer, page_checksum_verification=True)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as err:
        raise ValueError(
            f"{name} is not a readable Parquet file ({err}); build the tokens again"
        ) from err
    if footer is not None:
        return file  # it was looked at when the footer was read
    schema = file.schema_arrow
    for field in shard_schema(layout, view):
        index = schema.get_field_index(field.name)
        found = schema.field(index) if index >= 0 else None
        if found is None or not found.equals(field):
            raise ValueError(
                f"{name} does not fit its manifest: column {field.name} is "
                f"{'missing' if found is None else found.type}, expected {field.type} "
                f"for {layout.grid_height} x {layout.grid_width} codes; build the tokens again"
            )
    return file


def group_bytes(footer: pq.FileMetaData, group: int, *, captions: bool = False) -> tuple[int, int]:
    """Where in its file a row group's columns lie that `read_row_groups` reads: [start, end)."""
    row_group = footer.row_group(group)
    chunks = [row_group.column(i) for i in range(row_group.num_columns)]
    chunks = [chunk for chunk in chunks if chunk.path_in_schema in _columns(captions)]
    starts = [
        chunk.data_page_offset
        if chunk.dictionary_page_offset is None
        else min(chunk.dictionary_page_offset, chunk.data_page_offset)
        for chunk in chunks
    ]
    sizes = [chunk.total_compressed_size for chunk in chunks]
    return min(starts), max(start + size for start, size in zip(starts, sizes, strict=True))


def read_row_groups(
    file: pq.ParquetFile,
    groups: Sequence[int],
    layout: SequenceLayout,
    name: str,
    *,
    captions: bool = False,
) -> TokenRows:
    """Read whole row groups, checksums, lengths and id ranges verified.

    Args:
        captions: read the captions, too.

    Raises:
        ValueError: a damaged page, an id past its vocabulary, a text longer than its slots; the
            message names `name`.
    """
    try:
        table = file.read_row_groups(list(groups), columns=_columns(captions), use_threads=False)
    except (pa.ArrowInvalid, OSError) as err:
        raise ValueError(f"{name} is damaged ({err}); build the tokens again") from err
    table = table.combine_chunks()
    rows = _as_arrays(table, layout)
    _check_range(rows.codes, layout.image_vocab_size, "image code", name)
    _check_range(rows.text_ids, layout.text_vocab_size, "text token", name)
    longest = int(np.diff(rows.text_offsets).max(initial=0))
    if longest > layout.text_slots:
        raise ValueError(
            f"{name} holds a caption of {longest} tokens, but its sequences have "
            f"{layout.text_slots} slots for one; build the tokens again"
        )
    return rows


def _columns(captions: bool) -> list[str]:
    columns = ["pair_id", "text_tokens.list.element", "image_codes.list.element"]
    return [*columns, "caption"] if captions else columns


def _as_arrays(table: pa.Table, layout: SequenceLayout) -> TokenRows:
    """Views into the table's buffers: no value is copied."""
    if not len(table):
        dtype = code_dtype(layout.image_vocab_size)
        empty = np.empty((0, layout.num_codes), dtype)
        return TokenRows(
            np.empty(0, "V16"),
            np.empty(0, np.uint16),
            np.zeros(1, np.int64),
            empty,
            pa.array([], pa.string()) if "caption" in table.column_names else None,
        )
    text, codes = table["text_tokens"].chunk(0), table["image_codes"].chunk(0)
    pair_ids = table["pair_id"].chunk(0)
    buffer = pair_ids.buffers()[1]
    assert buffer is not None and pair_ids.offset == 0
    return TokenRows(
        pair_ids=np.frombuffer(buffer, "V16", count=len(pair_ids)),
        text_ids=text.flatten().to_numpy(zero_copy_only=True),
        text_offsets=(text.offsets.to_numpy().astype(np.int64) - text.offsets[0].as_py()),
        codes=codes.flatten().to_numpy(zero_copy_only=True).reshape(len(table), layout.num_codes),
        captions=table["caption"].combine_chunks() if "caption" in table.column_names else None,
    )


def _check_range(ids: npt.NDArray[Any], vocab_size: int, what: str, name: str) -> None:
    if ids.size and int(ids.max()) >= vocab_size:
        raise ValueError(
            f"{name} holds {what} {int(ids.max())}, but its vocabulary ends at {vocab_size - 1}"
        )
