"""Drop pictures that are mainly holes: overlays, buttons, watermarks."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Transparency:
    """More of the picture than `max_ratio` was transparent before it was laid on white."""

    reason: ClassVar[str] = "transparency"
    signals: ClassVar[tuple[str, ...]] = ("transparency_ratio",)

    max_ratio: Annotated[float, Between(0, 1)] = 0.9
    """How much white paper shows, itself allowed (ours)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["transparency_ratio"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_ratio))
