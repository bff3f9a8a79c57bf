"""Token samples in MDS, the format of MosaicML's Streaming, version 2, without its library.

    file     num_samples: uint32, offsets: uint32 each and one more, header: JSON, samples
    sample   length of each column that has no fixed one: uint32, then the columns' bytes

Columns stand in the order of their names. `index.json` lists a folder's files. The library is
not needed to write this and brings three clouds' clients along.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.exporting.sample import Sample, iterate_samples
from tokens.sequence import SequenceLayout, code_dtype


class Mds:
    """MDS of one layout of tokens."""

    reading = """import streaming
for sample in streaming.StreamingDataset(local="{folder}", batch_size=1):
    codes, tokens, caption = sample["image_codes"], sample["text_tokens"], sample["caption"]"""

    def __init__(self, layout: SequenceLayout) -> None:
        dtype = np.dtype(code_dtype(layout.image_vocab_size))
        self._header: dict[str, Any] = {
            "version": 2,
            "format": "mds",
            "compression": None,
            "hashes": [],
            "size_limit": None,
            "column_names": ["caption", "facts", "image_codes", "text_tokens"],
            "column_encodings": [
                "str",
                "json",
                f"ndarray:{dtype.name}:{layout.num_codes}",
                "ndarray:uint16",
            ],
            "column_sizes": [None, None, dtype.itemsize * layout.num_codes, None],
        }

    def file_name(self, index: int) -> str:
        return f"shard.{index:05d}.mds"

    def encode(self, rows: pa.Table) -> bytes:
        samples = [_encode_sample(sample) for sample in iterate_samples(rows)]
        header = json.dumps(self._header, sort_keys=True).encode()
        ends = np.cumsum([0, *map(len, samples)])
        first = 4 + 4 * len(ends) + len(header)
        return b"".join(
            [
                np.uint32(len(samples)).tobytes(),
                (first + ends).astype("<u4").tobytes(),
                header,
                *samples,
            ]
        )

    def index(self, files: list[tuple[str, int, int]]) -> bytes:
        shards = [
            self._header
            | {
                "samples": rows,
                "raw_data": {"basename": name, "bytes": size, "hashes": {}},
                "zip_data": None,
            }
            for name, rows, size in files
        ]
        return json.dumps({"version": 2, "shards": shards}, sort_keys=True).encode()


def _encode_sample(sample: Sample) -> bytes:
    caption, facts = sample.caption.encode(), sample.facts_json()
    text = _with_shape(sample.text_tokens)
    sizes = np.array([len(caption), len(facts), len(text)], "<u4")
    return b"".join([sizes.tobytes(), caption, facts, sample.image_codes.tobytes(), text])


def _with_shape(array: np.ndarray) -> bytes:
    """An array of one axis whose length is told first, in 8 bits (kind 0) or 16 (kind 1)."""
    kind, dtype = (0, "u1") if len(array) < 256 else (1, "<u2")
    return bytes([1 << 2 | kind]) + np.array(len(array), dtype).tobytes() + array.tobytes()
