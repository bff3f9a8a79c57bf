"""Drop captions that are not written as a sentence is."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Capitalisation:
    """The first letter is small, or too many words begin with a capital.

    Sharma et al. 2018 (Conceptual Captions, section 3): "candidates where the first word is not
    capitalized, or with too high capitalized-word ratio are discarded", without a number.
    """

    reason: ClassVar[str] = "capitalisation"
    signals: ClassVar[tuple[str, ...]] = ("capitalised_start", "capitalised_word_ratio")

    capital_start: bool = True
    """The first letter must be a capital (Sharma et al. 2018)."""
    max_word_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Words that begin with a capital over words with a letter, itself allowed (ours)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        start = signals["capitalised_start"].fill_null(False).to_numpy(zero_copy_only=False)
        ratio = signals["capitalised_word_ratio"].to_numpy(zero_copy_only=False)
        begins_well = start if self.capital_start else np.ones(len(start), bool)
        return np.asarray(~(begins_well & (ratio <= self.max_word_ratio)))
