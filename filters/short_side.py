"""Drop pictures that are smaller than the square that will be cut from them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class ShortSide:
    """The shorter side of the upright original has fewer pixels than `min_side_px`.

    The paper does not name this rule, its code does: the crop of Listing 2 draws a size
    between the target and the shorter side, which is no range for a smaller picture.
    """

    reason: ClassVar[str] = "short_side"
    signals: ClassVar[tuple[str, ...]] = ("short_side_px",)

    min_side_px: Annotated[int, Between(1, 100_000)] = 256
    """Pixels, itself allowed (Ramesh et al. 2021, Listing 2: target_res = 256)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        side_px = signals["short_side_px"].fill_null(-1).to_numpy()
        return np.asarray(side_px < self.min_side_px)
