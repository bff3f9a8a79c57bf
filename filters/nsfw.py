"""Drop pictures that a classifier takes for pornography."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class Nsfw:
    """The NSFW head's score of the picture is above `max_score`."""

    reason: ClassVar[str] = "nsfw"
    signals: ClassVar[tuple[str, ...]] = ("nsfw_score",)

    max_score: Annotated[float, Between(0, 1)] = 0.5
    """Probability, itself allowed (COYO-700M drops above 0.5, by other classifiers)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["nsfw_score"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_score))
