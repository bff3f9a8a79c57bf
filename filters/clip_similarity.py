"""Drop pairs whose caption is not about the picture, as CLIP sees it."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class ClipSimilarity:
    """The cosine between CLIP's embeddings of caption and picture is below `min_similarity`.

    A number belongs to one model: over COYO-700M the mean is 0.291 by OpenAI's ViT-B/32 and 0.255
    by its ViT-L/14.
    """

    reason: ClassVar[str] = "clip_similarity"
    signals: ClassVar[tuple[str, ...]] = ("clip_similarity",)

    min_similarity: Annotated[float, Between(-1, 1)] = 0.28
    """Cosine, itself allowed (LAION-5B, Schuhmann et al. 2022: 0.28 for English, by ViT-B/32)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["clip_similarity"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value >= self.min_similarity))
