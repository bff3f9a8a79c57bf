"""Drop pictures so long or so tall that a square crop would cut off what the caption names."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class AspectRatio:
    """Width over height of the upright original lies outside [min_ratio, max_ratio]."""

    reason: ClassVar[str] = "aspect_ratio"
    signals: ClassVar[tuple[str, ...]] = ("aspect_ratio",)

    min_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Width over height, itself allowed (Ramesh et al. 2021, section 2.3: [1/2, 2])."""
    max_ratio: Annotated[float, Between(1, 1_000)] = 2.0
    """Width over height, itself allowed (Ramesh et al. 2021, section 2.3: [1/2, 2])."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        ratio = signals["aspect_ratio"].fill_null(float("nan")).to_numpy()
        return np.asarray(~((ratio >= self.min_ratio) & (ratio <= self.max_ratio)))
