"""Drop pictures that were compressed so far that blocks show."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa

from filters.bounds import Between, check_fields


@dataclass(frozen=True, slots=True)
class JpegQuality:
    """The picture was fetched as a JPEG whose quality is below `min_quality`.

    A picture in another format has no such quality and is kept; so is a JPEG that does not tell.
    """

    reason: ClassVar[str] = "jpeg_quality"
    signals: ClassVar[tuple[str, ...]] = ("jpeg_quality", "body_bytes")

    min_quality: Annotated[int, Between(1, 100)] = 50
    """On libjpeg's scale of 1 to 100, itself allowed (ours; libjpeg's own default is 75)."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, signals: pa.RecordBatch) -> np.ndarray:
        quality = signals["jpeg_quality"].fill_null(100).to_numpy()
        fetched = signals["body_bytes"].is_valid().to_numpy(zero_copy_only=False)
        return np.asarray(~(fetched & (quality >= self.min_quality)))
