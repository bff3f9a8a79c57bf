"""Drop pictures of few bytes: icons, blanks, previews."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class BodySize:
    """The picture's file, as it was fetched, has fewer bytes than `min_bytes`."""

    reason: ClassVar[str] = "body_size"
    signals: ClassVar[tuple[str, ...]] = ("body_bytes",)

    min_bytes: Annotated[int, Between(1, 2**31 - 1)] = 5_000
    """Bytes, itself allowed (COYO-700M, LAION-400M: 5 KB; LAION's worker has 5,000)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        value = signals["body_bytes"].to_numpy(zero_copy_only=False)
        return np.asarray(~(value >= self.min_bytes))
