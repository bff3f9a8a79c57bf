"""Drop captions that are too short to say anything of a picture."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class CaptionLength:
    """The caption has fewer characters or fewer words than the rule asks for.

    The paper drops captions that are "too short" and gives no number (Ramesh et al. 2021,
    section 2.3). The defaults are the least that three published corpora agree on: more
    than 5 characters and 3 words (COYO-700M; DataComp's basic filter; 3 words in CC12M).
    """

    reason: ClassVar[str] = "caption_length"
    signals: ClassVar[tuple[str, ...]] = ("caption_chars", "caption_words")

    min_chars: Annotated[int, Between(0, 10_000)] = 6
    """Characters without the white space around the caption (COYO-700M, DataComp: > 5)."""
    min_words: Annotated[int, Between(0, 1_000)] = 3
    """Runs without white space (COYO-700M, CC12M: >= 3; DataComp: > 2)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        chars = signals["caption_chars"].fill_null(-1).to_numpy()
        words = signals["caption_words"].fill_null(-1).to_numpy()
        return np.asarray((chars < self.min_chars) | (words < self.min_words))
