"""Drop captions that are too short to say anything of a picture, or too long to be a caption."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields

NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CaptionLength:
    """The caption has fewer or more characters or words than the rule allows.

    The paper drops captions that are "too short" and gives no number (Ramesh et al. 2021,
    section 2.3). The least numbers are those that three published corpora agree on: more
    than 5 characters and 3 words (COYO-700M; DataComp's basic filter; 3 words in CC12M).
    The paper names no greatest length; others do.
    """

    reason: ClassVar[str] = "caption_length"
    signals: ClassVar[tuple[str, ...]] = ("caption_chars", "caption_words")

    min_chars: Annotated[int, Between(0, 10_000)] = 6
    """Characters without the white space around the caption (COYO-700M, DataComp: > 5)."""
    min_words: Annotated[int, Between(0, 1_000)] = 3
    """Runs without white space (COYO-700M, CC12M: >= 3; DataComp: > 2)."""
    max_chars: Annotated[int, Between(1, NO_LIMIT)] = NO_LIMIT
    """Characters, itself allowed; without a limit unless a recipe has one (COYO-700M: 1,000)."""
    max_words: Annotated[int, Between(1, NO_LIMIT)] = NO_LIMIT
    """Words, itself allowed; without a limit unless a recipe has one (COYO-700M, CC12M: 256)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        chars = signals["caption_chars"].to_numpy(zero_copy_only=False)
        words = signals["caption_words"].to_numpy(zero_copy_only=False)
        enough = (chars >= self.min_chars) & (words >= self.min_words)
        return np.asarray(~(enough & (chars <= self.max_chars) & (words <= self.max_words)))
