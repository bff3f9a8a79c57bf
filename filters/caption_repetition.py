"""Drop captions that many pictures share: they name the page, not the picture."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class CaptionRepetition:
    """More than `max_rows` rows of the whole corpus have this caption."""

    reason: ClassVar[str] = "caption_repetition"
    signals: ClassVar[tuple[str, ...]] = ("caption_count",)

    max_rows: Annotated[int, Between(1, 2**32 - 1)] = 10
    """Rows, itself allowed (COYO-700M drops texts that appear more than 10 times)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["caption_count"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value <= self.max_rows))
