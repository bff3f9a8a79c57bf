"""Drop animated pictures, of which only the first frame would be seen."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.bounds import check_fields


@dataclass(frozen=True, slots=True)
class Animation:
    """The file has one frame where the recipe wants several, or several where it wants one."""

    reason: ClassVar[str] = "animation"
    signals: ClassVar[tuple[str, ...]] = ("animated",)

    keep: Literal["still", "animated"] = "still"
    """What is kept (ours: a first frame is often a blank or a title)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        wanted = pc.equal(signals["animated"], self.keep == "animated")
        return np.asarray(~wanted.fill_null(False).to_numpy(zero_copy_only=False))
