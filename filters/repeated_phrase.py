"""Drop captions in which one phrase comes again and again."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class RepeatedPhrase:
    """One run of two or of three words, met at least twice, makes up too much of the caption.

    After the top n-gram rules of Gopher (Rae et al. 2021, table A1), which hold for documents:
    0.20 and 0.18 there would drop "a cat on a mat and a dog on a mat". The numbers are ours.
    """

    reason: ClassVar[str] = "repeated_phrase"
    signals: ClassVar[tuple[str, ...]] = ("top_bigram_ratio", "top_trigram_ratio")

    max_bigram_ratio: Annotated[float, Between(0, 1)] = 0.6
    """Share of the words in the most frequent run of two, itself allowed (ours)."""
    max_trigram_ratio: Annotated[float, Between(0, 1)] = 0.6
    """Share of the words in the most frequent run of three, itself allowed (ours)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        two = signals["top_bigram_ratio"].to_numpy(zero_copy_only=False)
        three = signals["top_trigram_ratio"].to_numpy(zero_copy_only=False)
        return np.asarray(~((two <= self.max_bigram_ratio) & (three <= self.max_trigram_ratio)))
