"""A small, true tokens folder to train on: shards, manifest and tokenizer files."""

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pytest
import torch

from tokens.manifest import MANIFEST_NAME, FileEntry, Manifest
from tokens.sequence import SequenceLayout, code_dtype
from tokens.shards import shard_schema, write_shard

LAYOUT = SequenceLayout(
    text_slots=6, text_vocab_size=40, grid_height=4, grid_width=4, image_vocab_size=12
)

torch.set_num_threads(1)
"""Networks this small gain nothing from a second thread, and lose much on a busy machine."""


def draw_pairs(layout: SequenceLayout, rows: int, seed: int) -> tuple[list[list[int]], np.ndarray]:
    """Captions that tell something of their pictures: the first word shifts all codes."""
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, 4, rows)
    captions = [
        [
            int(kind),
            *generator.integers(4, layout.text_vocab_size, generator.integers(0, 5)).tolist(),
        ]
        for kind in kinds
    ]
    steps = generator.integers(0, 2, (rows, layout.num_codes)).cumsum(axis=1)
    codes = (steps + 3 * kinds[:, None]) % layout.image_vocab_size
    return captions, codes.astype(code_dtype(layout.image_vocab_size))


def make_table(
    layout: SequenceLayout, captions: list[list[int]], codes: np.ndarray, view: int, first: int
) -> pa.Table:
    """Rows of one shard; row i's pair_id spells `first + i`."""
    schema = shard_schema(layout, view)
    rows = len(captions)
    columns = [
        pa.array([(first + i).to_bytes(16, "big") for i in range(rows)], pa.binary(16)),
        pa.array(np.full(rows, view, np.int8)),
        pa.array(captions, schema.field("text_tokens").type),
        pa.array(np.zeros(rows, bool)),
        pa.FixedSizeListArray.from_arrays(
            pa.array(codes.reshape(-1)), type=schema.field("image_codes").type
        ),
        pa.array([" ".join(map(str, caption)) for caption in captions]),
    ]
    columns += [pa.nulls(rows, field.type) for field in schema][len(columns) :]
    return pa.Table.from_arrays(columns, schema=schema)


def write_corpus(
    folder: Path,
    layout: SequenceLayout = LAYOUT,
    train_rows: int = 60,
    val_rows: int = 20,
    views: int = 2,
    generation: int = 1,
    seed: int = 0,
    rows_per_file: int = 25,
) -> Path:
    """A tokens folder of drawn pairs, two views of each training pair."""
    entries: list[FileEntry] = []
    series = [("train", view, train_rows) for view in range(views)] + [("val", 0, val_rows)]
    for split, view, rows in series:
        captions, codes = draw_pairs(layout, rows, seed + (split == "val"))
        codes = (codes + view) % layout.image_vocab_size
        for index, start in enumerate(range(0, rows, rows_per_file)):
            part = slice(start, start + rows_per_file)
            first = start + (10_000 if split == "val" else 0)
            table = make_table(layout, captions[part], codes[part], view, first)
            entries.append(_write(folder, f"{split}/view{view}", index, table))
    (folder / "tokenizers").mkdir(parents=True, exist_ok=True)
    for name in ("text.json", "image.safetensors"):
        (folder / "tokenizers" / name).write_bytes(b"{}")
    details = {name: getattr(layout, name) for name in layout.__slots__}
    details |= {"views": views, "side_px": 32}
    details |= {"text_tokenizer_sha256": "t" * 64, "image_tokenizer_sha256": "i" * 64}
    manifest = Manifest("encode", generation, tuple(entries), {}, {}, "", {}, details)
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
    return folder


def _write(folder: Path, group: str, index: int, table: pa.Table) -> FileEntry:
    name = f"{group}-{index:05d}-00000000.parquet"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(str(path), table)
    data = path.read_bytes()
    return FileEntry(name, group, index, len(table), len(data), hashlib.sha256(data).hexdigest())


class WriteCorpus(Protocol):
    def __call__(self, folder: Path, **changes: Any) -> Path: ...


@pytest.fixture(name="write_corpus")
def write_corpus_fixture() -> WriteCorpus:
    """The function itself: a test that needs a corpus of another shape writes its own."""
    return write_corpus


@pytest.fixture
def tokens_folder(tmp_path: Path) -> Path:
    """60 training pairs in two views, 20 held-out ones, 4 x 4 codes of 12."""
    return write_corpus(tmp_path / "tokens")


@pytest.fixture
def layout() -> SequenceLayout:
    return LAYOUT
