"""Evaluation pictures as the corpus looks at pictures: their hashes, and embeddings if asked for.

They are strangers' bytes: they are decoded where all pictures are, in a process of its own, and
stored as a build stores them before they are hashed, so that one file has one hash on both sides.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filters.signals.perceptual_hash import perceptual_hash
from filters.signals.signal import BATCH_PICTURES, Model
from pipelines import progress
from pipelines.commit import Output, Written, commit_table
from pipelines.decoding.decoders import Decoders
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.recipe_sections import EMBEDDING
from pipelines.score import load
from pipelines.selecting.candidates import item_output
from pipelines.selecting.eval_sets import EvalChunk, read_bodies
from tokens.pixels import read_stored

THUMBNAIL_SIDE_PX = 128

EVAL_SCHEMA = pa.schema(
    [
        pa.field("picture", pa.string(), nullable=False),
        pa.field("phash", pa.uint64()),
        pa.field("refused", pa.string()),  # why there is no hash
        pa.field("thumbnail", pa.binary()),  # JPEG
    ]
)


@dataclass(frozen=True, slots=True)
class PictureKit:
    """How strangers' pictures are decoded; crosses to workers."""

    limits: DecodeLimits
    image: StoredImage
    timeout_s: float
    memory_bytes: int
    max_body_bytes: int

    def open(self) -> Decoders:
        return Decoders(1, self.limits, self.image, self.timeout_s, self.memory_bytes)


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """The score stage's model that gives embeddings, as it was settled."""

    name: str
    model: Model
    settled: tuple[tuple[str, str], ...]

    def embed(self, pictures: list[np.ndarray]) -> pa.Array:
        """One embedding each."""
        names, kind = [name for name, _ in self.model.columns], dict(self.model.columns)[EMBEDDING]
        signal, parts = load(self.name, self.model, self.settled), [pa.nulls(0, kind)]
        for start in range(0, len(pictures), BATCH_PICTURES):
            batch = pictures[start : start + BATCH_PICTURES]
            measured = signal.measure([""] * len(batch), batch)
            parts.append(pa.array(measured[names.index(EMBEDDING)], kind))
        return pa.concat_arrays(parts)


@dataclass(frozen=True, slots=True)
class HashEvalPictures:
    """One chunk's perceptual hashes, thumbnails, and embeddings where a model gives them."""

    folder: str
    kit: PictureKit
    model: EmbeddingModel | None
    """None: hashes alone are compared."""

    def output(self, item: EvalChunk) -> Output:
        parts = (item.set, item.sha256, str(self.kit), str(self.model))
        return item_output(self.folder, f"eval-{item.set}", item.row_group, parts)

    def rows(self, item: EvalChunk) -> int:
        return len(item.names)

    def __call__(self, item: EvalChunk) -> None:
        rows, pictures = [], list[np.ndarray]()
        with self.kit.open() as decoders:
            for name, body in read_bodies(item, self.kit.max_body_bytes):
                rows.append(self._look(name, body, decoders, pictures))
        table = pa.Table.from_pylist(rows, schema=EVAL_SCHEMA)
        if self.model is not None:
            there = table["phash"].is_valid().to_numpy()
            places = pa.array(np.cumsum(there) - 1, mask=~there)
            table = table.append_column(EMBEDDING, self.model.embed(pictures).take(places))
        commit_table(self.output(item), table, Written(len(table)))
        progress.advance(len(item.names))

    def _look(
        self, name: str, body: bytes | None, decoders: Decoders, pictures: list[np.ndarray]
    ) -> dict[str, Any]:
        from pipelines.imaging import store_image  # Pillow, which a driver does without

        if body is None:
            return {"picture": name, "refused": "body_too_large"}
        try:
            pixels = read_stored(decoders.make_picture(body).image)
        except Refused as refused:
            return {"picture": name, "refused": refused.reason}
        if self.model is not None:
            pictures.append(pixels)
        thumbnail = store_image(pixels, THUMBNAIL_SIDE_PX, "jpeg")[0]
        return {"picture": name, "phash": perceptual_hash(pixels), "thumbnail": thumbnail}
