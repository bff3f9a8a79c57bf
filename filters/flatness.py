"""Drop pictures that are nearly all of one colour: logos, diagrams, blanks."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Flatness:
    """More of the picture than `max_ratio` has one colour."""

    reason: ClassVar[str] = "flatness"
    signals: ClassVar[tuple[str, ...]] = ("flat_ratio",)

    max_ratio: Annotated[float, Between(0, 1)] = 0.9
    """Share of the pixels, itself allowed (ours)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["flat_ratio"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_ratio))
