"""Drop captions that are mainly numbers: article numbers, dates, scores."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits are more of the caption than `max_ratio`."""

    reason: ClassVar[str] = "digits"
    signals: ClassVar[tuple[str, ...]] = ("digit_ratio",)

    max_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Share of the characters that are no white space, itself allowed (ours: mainly)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["digit_ratio"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_ratio))
