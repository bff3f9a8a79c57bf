"""Tables of token shards with drawn values."""

import numpy as np
import pyarrow as pa

from tokens.sequence import SequenceLayout, code_dtype
from tokens.shards import shard_schema


def draw_table(layout: SequenceLayout, rows: int, view: int = 1) -> pa.Table:
    generator = np.random.default_rng(3)
    schema = shard_schema(layout, view)
    lengths = generator.integers(0, 7, rows)
    ids = generator.integers(0, layout.text_vocab_size, lengths.sum()).astype(np.uint16)
    codes = generator.integers(0, layout.image_vocab_size, rows * layout.num_codes)
    columns = [
        pa.array([generator.bytes(16) for _ in range(rows)], pa.binary(16)),
        pa.array(np.full(rows, view, np.int8)),
        pa.ListArray.from_arrays(
            pa.array(np.cumsum([0, *lengths]).astype(np.int32)),
            pa.array(ids),
            type=schema.field("text_tokens").type,
        ),
        pa.array(generator.integers(0, 2, rows).astype(bool)),
        pa.FixedSizeListArray.from_arrays(
            pa.array(codes.astype(code_dtype(layout.image_vocab_size))),
            type=schema.field("image_codes").type,
        ),
        pa.array([f"caption {i}" for i in range(rows)]),
    ]
    columns += [pa.nulls(rows, field.type) for field in schema][len(columns) :]
    return pa.Table.from_arrays(columns, schema=schema)
