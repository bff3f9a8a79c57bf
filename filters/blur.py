"""Drop pictures that are out of focus or were enlarged from little."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Blur:
    """The picture's sharpness, the variance of its Laplacian, is below `min_sharpness`.

    Drawings with few lines are low, too: a corpus of them wants another number, or none.
    """

    reason: ClassVar[str] = "blur"
    signals: ClassVar[tuple[str, ...]] = ("sharpness",)

    min_sharpness: Annotated[float, Between(0, 65_025)] = 100.0
    """At a short side of 256 px, itself allowed (ours: the customary number for photographs)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["sharpness"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value >= self.min_sharpness))
