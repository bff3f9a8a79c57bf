"""Drop pictures of few grey values: blanks, scanned pages, silhouettes."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Entropy:
    """The grey values of the picture have less entropy than `min_bits`."""

    reason: ClassVar[str] = "entropy"
    signals: ClassVar[tuple[str, ...]] = ("entropy_bits",)

    min_bits: Annotated[float, Between(0, 8)] = 1.0
    """Bits per pixel, itself allowed (ours: a picture of two equally frequent values has 1)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["entropy_bits"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value >= self.min_bits))
