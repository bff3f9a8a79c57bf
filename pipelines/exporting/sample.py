"""A row of a token shard as the formats for export want it: a sample with its arrays."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tokens.shards import PROVENANCE


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair in one view."""

    pair_id: str
    """32 hex digits."""
    view: int
    caption: str
    text_tokens: npt.NDArray[np.uint16]
    """Without padding."""
    image_codes: npt.NDArray[Any]
    """[num_codes], uint16 or uint32, raster order."""
    facts: dict[str, Any]
    """Of view 0: where the pair came from; of every view: whether the caption was cut."""

    def facts_json(self) -> bytes:
        return json.dumps(self.facts, sort_keys=True).encode()


def iterate_samples(rows: pa.Table) -> Iterator[Sample]:
    """The rows of a token shard, in order. The arrays are views of the table's."""
    rows = rows.combine_chunks()
    text, codes = rows["text_tokens"].chunk(0), rows["image_codes"].chunk(0)
    ids, offsets = text.values.to_numpy(), text.offsets.to_numpy()
    pictures = codes.flatten().to_numpy().reshape(len(rows), -1)
    names = [name for name in PROVENANCE.names if name in rows.column_names]
    facts = rows.select(["pair_id", "view", "text_truncated", *names]).to_pylist()
    for i, (fact, caption) in enumerate(zip(facts, rows["caption"].to_pylist(), strict=True)):
        told = {name: v.hex() if isinstance(v, bytes) else v for name, v in fact.items()}
        yield Sample(
            fact["pair_id"].hex(),
            fact["view"],
            caption,
            ids[offsets[i] : offsets[i + 1]],
            pictures[i],
            told,
        )
