"""Drop captions that say the same words again."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Repetition:
    """Fewer of the caption's words than `min_unique_ratio` are distinct.

    Sharma et al. 2018 (Conceptual Captions, section 3) drop "a high rate of token repetition"
    without a number; CC12M gives one.
    """

    reason: ClassVar[str] = "repetition"
    signals: ClassVar[tuple[str, ...]] = ("unique_word_ratio",)

    min_unique_ratio: Annotated[float, Between(0, 1)] = 0.8
    """Distinct words over words, itself allowed (Changpinyo et al. 2021, section 2: at most 0.2 of
    repetition)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["unique_word_ratio"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value >= self.min_unique_ratio))
