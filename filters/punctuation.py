"""Drop captions that are mainly signs: rows of dashes, emoticons, mark-up."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Punctuation:
    """Punctuation and symbols are more of the caption than `max_ratio`."""

    reason: ClassVar[str] = "punctuation"
    signals: ClassVar[tuple[str, ...]] = ("punctuation_ratio",)

    max_ratio: Annotated[float, Between(0, 1)] = 0.3
    """Share of the characters that are no white space, itself allowed (ours)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["punctuation_ratio"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_ratio))
