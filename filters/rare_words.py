"""Drop captions with words that hardly anybody writes: codes, typing errors, names."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class RareWords:
    """More of the caption's words than `max_words` are not on the list of [score.vocabulary]."""

    reason: ClassVar[str] = "rare_words"
    signals: ClassVar[tuple[str, ...]] = ("unknown_words",)

    max_words: Annotated[int, Between(0, 1_000)] = 0
    """Words, itself allowed (Sharma et al. 2018, section 3: none)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["unknown_words"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_words))
