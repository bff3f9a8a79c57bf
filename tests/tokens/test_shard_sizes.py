"""What a row of a full row group takes on disk, read from the metadata of shards of our writer."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tokens.made_shards import draw_table
from tokens.sequence import SequenceLayout
from tokens.shards import ROW_GROUP_ROWS, open_shard, read_row_groups, write_shard

CODES = "image_codes.list.element"


def written(table: pa.Table) -> io.BytesIO:
    sink = io.BytesIO()
    write_shard(sink, table)
    return sink


def code_chunks(metadata: pq.FileMetaData) -> list[pq.ColumnChunkMetaData]:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    return [chunk for chunk in chunks if chunk.path_in_schema == CODES]


@pytest.mark.parametrize(
    ("vocab_size", "floor", "most"),
    [
        pytest.param(1_024, 1_280, 1_300, id="1,024 codes, 10 bits"),
        pytest.param(8_192, 1_664, 1_700, id="8,192 codes, 13 bits"),
        pytest.param(16_384, 1_792, 1_840, id="16,384 codes, 14 bits"),
        pytest.param(65_536, 2_048, 2_200, id="65,536 codes, 16 bits"),
        pytest.param(262_144, 2_304, 2_850, id="262,144 codes, 18 bits and a larger dictionary"),
        pytest.param(300_000, 2_432, 3_050, id="300,000 codes, 19 bits"),
    ],
)
def test_a_row_of_1024_codes_is_little_more_than_its_bits(
    vocab_size: int, floor: int, most: int
) -> None:
    layout = SequenceLayout(image_vocab_size=vocab_size)
    table = draw_table(layout, 2 * ROW_GROUP_ROWS)
    sink = written(table)
    chunks = code_chunks(pq.ParquetFile(sink).metadata)
    assert [chunk.num_values for chunk in chunks] == [ROW_GROUP_ROWS * 1_024] * 2
    for chunk in chunks:
        assert floor <= chunk.total_compressed_size / ROW_GROUP_ROWS <= most
    rows = read_row_groups(open_shard(sink, layout, 1, "a"), [0, 1], layout, "a")
    expected = table["image_codes"].combine_chunks().flatten().to_numpy()
    assert np.array_equal(rows.codes.ravel(), expected)


def test_pages_carry_checksums_and_columns_no_nulls() -> None:
    file = pq.ParquetFile(written(draw_table(SequenceLayout(image_vocab_size=8_192), 10)))
    codes = next(c for c in map(file.schema.column, range(len(file.schema))) if c.path == CODES)
    assert (codes.max_definition_level, codes.max_repetition_level) == (1, 1)  # of the list alone
    assert not file.schema_arrow.field("image_codes").nullable
