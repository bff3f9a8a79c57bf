"""Drop pictures that are mainly an even frame around something small."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Border:
    """More of the picture's area than `max_ratio` is an even margin around what it shows."""

    reason: ClassVar[str] = "border"
    signals: ClassVar[tuple[str, ...]] = ("border_ratio",)

    max_ratio: Annotated[float, Between(0, 1)] = 0.5
    """Share of the area, itself allowed (ours: mainly frame)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["border_ratio"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_ratio))
