"""Drop pictures that a model trained on people's votes finds ugly."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Aesthetic:
    """The aesthetic head's score of the picture is below `min_score`.

    Such a head likes paintings and bright skies; what it drops is a matter of taste, not of truth.
    """

    reason: ClassVar[str] = "aesthetic"
    signals: ClassVar[tuple[str, ...]] = ("aesthetic_score",)

    min_score: Annotated[float, Between(-100, 100)] = 4.5
    """On LAION's scale of about 1 to 10, itself allowed (LAION-Aesthetics v2, its widest subset:
    4.5)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["aesthetic_score"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value >= self.min_score))
