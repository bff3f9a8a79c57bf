"""The drawn corpus that every loader reads: captions of some 29 tokens, codes of a vocabulary."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tokens.manifest import MANIFEST_NAME, FileEntry, Manifest
from tokens.sequence import SequenceLayout, lay_out_text
from tokens.shards import SHARD_ROWS, shard_schema, write_shard

LAYOUT = SequenceLayout()
MEAN_TOKENS = 29
"""Of a web caption, in the bundled vocabulary."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """One shard's rows."""

    pair_ids: list[bytes]
    text_ids: np.ndarray
    text_offsets: np.ndarray
    codes: np.ndarray
    """[rows, 1024], uint16"""

    @property
    def padded(self) -> np.ndarray:
        """[rows, 256], uint16: the text as other formats store it."""
        return lay_out_text(LAYOUT, self.text_ids, self.text_offsets, np.uint16)


def draw_shards(num_rows: int) -> Iterator[Rows]:
    for start in range(0, num_rows, SHARD_ROWS):
        rows = min(SHARD_ROWS, num_rows - start)
        draws = np.random.default_rng(start)
        offsets = np.zeros(rows + 1, np.int64)
        offsets[1:] = np.cumsum(np.clip(draws.poisson(MEAN_TOKENS, rows), 1, LAYOUT.text_slots))
        ids = draws.integers(0, LAYOUT.text_vocab_size, offsets[-1]).astype(np.uint16)
        codes = draws.integers(0, LAYOUT.image_vocab_size, (rows, LAYOUT.num_codes))
        names = [draws.bytes(16) for _ in range(rows)]
        yield Rows(names, ids, offsets, codes.astype(np.uint16))


def write_tokens(folder: Path, num_rows: int) -> None:
    """The corpus as a build's tokens folder: what pairmill reads."""
    entries = []
    (folder / "train").mkdir(parents=True)
    for index, rows in enumerate(draw_shards(num_rows)):
        name = f"train/view0-{index:05d}-00000000.parquet"
        write_shard(str(folder / name), _table(rows))
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        entries.append(FileEntry(name, "train/view0", index, len(rows.codes), len(data), digest))
    details = {name: getattr(LAYOUT, name) for name in LAYOUT.__slots__} | {"views": 1}
    manifest = Manifest("encode", 1, tuple(entries), {}, {}, "", {}, details)
    (folder / MANIFEST_NAME).write_text(manifest.to_json())


def _table(rows: Rows) -> pa.Table:
    schema = shard_schema(LAYOUT, 0)
    offsets = pa.array(rows.text_offsets.astype(np.int32))
    columns = {
        "pair_id": pa.array(rows.pair_ids, pa.binary(16)),
        "view": pa.array(np.zeros(len(rows.codes), np.int8)),
        "text_tokens": pa.ListArray.from_arrays(
            offsets, pa.array(rows.text_ids), type=schema.field("text_tokens").type
        ),
        "text_truncated": pa.array(np.zeros(len(rows.codes), bool)),
        "image_codes": pa.FixedSizeListArray.from_arrays(
            pa.array(rows.codes.reshape(-1)), type=schema.field("image_codes").type
        ),
        "caption": pa.array([""] * len(rows.codes)),
    }
    nulls = {
        field.name: pa.nulls(len(rows.codes), field.type)
        for field in schema
        if field.name not in columns
    }
    return pa.table(columns | nulls, schema=schema)
