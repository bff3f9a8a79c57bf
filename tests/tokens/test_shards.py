import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tokens.made_shards import draw_table
from tokens.sequence import SequenceLayout
from tokens.shards import (
    ROW_GROUP_ROWS,
    open_shard,
    read_row_groups,
    shard_schema,
    write_shard,
)

SMALL = SequenceLayout(text_slots=8, grid_height=2, grid_width=3, image_vocab_size=50)


def written(table: pa.Table) -> io.BytesIO:
    sink = io.BytesIO()
    write_shard(sink, table)
    return sink


def test_reads_back_what_was_written_groups_in_the_order_asked_for() -> None:
    table = draw_table(SMALL, ROW_GROUP_ROWS + 100)
    file = open_shard(written(table), SMALL, 1, "a.parquet")
    rows = read_row_groups(file, [1, 0], SMALL, "a.parquet")
    order = [*range(ROW_GROUP_ROWS, ROW_GROUP_ROWS + 100), *range(ROW_GROUP_ROWS)]
    expected = table.take(order)
    assert [bytes(i) for i in rows.pair_ids] == expected["pair_id"].to_pylist()
    assert rows.codes.tolist() == expected["image_codes"].to_pylist()
    captions = [
        rows.text_ids[start:end].tolist()
        for start, end in zip(rows.text_offsets, rows.text_offsets[1:], strict=False)
    ]
    assert captions == expected["text_tokens"].to_pylist()


def test_only_codes_are_dictionary_encoded_and_nothing_is_compressed() -> None:
    metadata = pq.ParquetFile(written(draw_table(SMALL, 10, view=0))).metadata
    columns = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)]
    assert {c.path_in_schema for c in columns if c.has_dictionary_page} == {
        "image_codes.list.element"
    }
    assert {c.compression for c in columns} == {"UNCOMPRESSED"}


def test_the_same_rows_give_the_same_bytes() -> None:
    table = draw_table(SMALL, 5000)
    assert written(table).getvalue() == written(table).getvalue()


def test_provenance_stands_in_view_0_alone() -> None:
    assert "url" in shard_schema(SMALL, 0).names
    assert "url" not in shard_schema(SMALL, 1).names


def test_large_vocabularies_are_stored_in_32_bits() -> None:
    layout = SequenceLayout(grid_height=2, grid_width=2, image_vocab_size=262_144)
    file = open_shard(written(draw_table(layout, 50)), layout, 1, "a")
    assert read_row_groups(file, [0], layout, "a").codes.dtype == np.uint32


def test_a_flipped_bit_is_noticed_and_the_file_named() -> None:
    table = draw_table(SMALL, 2000)
    data = bytearray(written(table).getvalue())
    column = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(4)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    file = open_shard(io.BytesIO(data), SMALL, 1, "train/view1-00000.parquet")
    with pytest.raises(ValueError, match=r"train/view1-00000\.parquet is damaged"):
        read_row_groups(file, [0], SMALL, "train/view1-00000.parquet")


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a.parquet is not a readable Parquet file"):
        open_shard(io.BytesIO(b"<html>not found</html>"), SMALL, 0, "a.parquet")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        pytest.param({"grid_height": 3}, "column image_codes is", id="another grid"),
        pytest.param({"image_vocab_size": 70_000}, "column image_codes is", id="wider codes"),
    ],
)
def test_a_shard_of_another_layout_is_refused(other: dict[str, int], message: str) -> None:
    sizes = {name: getattr(SMALL, name) for name in SMALL.__slots__}
    with pytest.raises(ValueError, match=f"a.parquet does not fit its manifest: {message}"):
        open_shard(written(draw_table(SMALL, 3)), SequenceLayout(**sizes | other), 1, "a.parquet")


def test_a_shard_without_a_column_of_its_view_is_refused() -> None:
    with pytest.raises(ValueError, match="column url is missing"):
        open_shard(written(draw_table(SMALL, 3, view=1)), SMALL, 0, "a.parquet")


def test_a_code_past_the_vocabulary_is_refused() -> None:
    narrow = SequenceLayout(text_slots=8, grid_height=2, grid_width=3, image_vocab_size=20)
    file = open_shard(written(draw_table(SMALL, 100)), narrow, 1, "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet holds image code 4\d, .* ends at 19"):
        read_row_groups(file, [0], narrow, "a.parquet")
